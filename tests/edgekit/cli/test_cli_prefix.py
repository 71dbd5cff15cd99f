from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main
from edgekit.kvfile import write_state

RunJson = Callable[..., dict[str, Any]]


@pytest.fixture
def system(tmp_path: Path) -> Path:
    file = tmp_path / "system.txt"
    file.write_text("You answer questions about the museum in one short sentence, and nothing else.\n", "utf-8")
    return file


@pytest.mark.filterwarnings("always::edgekit.errors.EdgekitWarning")
def test_a_system_prompt_is_stored_used_rebuilt_and_removed(
    writable_bundle: Path, system: Path, run_json: RunJson, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_json("prefix", writable_bundle)["prefixes"] == []
    (stored,) = run_json("prefix", writable_bundle, "--system", system, "--name", "museum")["prefixes"]
    assert (stored["name"], stored["fits"]) == ("museum", True)
    text = system.read_text("utf-8").strip()
    run = ("run", writable_bundle, "When do you open?", "--system", text, "--max-tokens", 2)
    assert run_json(*run)["timings"]["reused_tokens"] == stored["tokens"]
    (file,) = (writable_bundle / "prefixes").iterdir()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert main(list(map(str, run))) == 0
    assert "warning: the stored prefix" in capsys.readouterr().err
    assert not run_json("prefix", writable_bundle)["prefixes"][0]["fits"]
    assert run_json("prefix", writable_bundle, "--rebuild")["prefixes"][0]["fits"]
    assert run_json(*run)["timings"]["reused_tokens"] == stored["tokens"]
    assert main(["prefix", str(writable_bundle)]) == 0
    assert "museum" in capsys.readouterr().out
    assert run_json("prefix", writable_bundle, "--remove", "--name", "museum")["prefixes"] == []
    assert main(["prefix", str(writable_bundle)]) == 0
    assert "Make one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--system", "none.txt"], "cannot read none.txt"),
        (["--system", "a", "--rebuild"], "exclude each other"),
        (["--remove", "--name", "other"], "there is no prefix 'other'"),
    ],
)
def test_wrong_usage(
    writable_bundle: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert main(["prefix", str(writable_bundle), *options]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.filterwarnings("always::edgekit.errors.EdgekitWarning")
def test_a_prefix_whose_header_is_damaged_is_told_and_can_be_removed(
    writable_bundle: Path, run_json: RunJson, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = writable_bundle / "prefixes"
    folder.mkdir()
    for name in ("odd.onnx.kv", "odd.tflite.kv", "odder.onnx.kv"):
        (folder / name).write_bytes(b"EDGEKV03" + bytes(60))
    assert main(["prefix", str(writable_bundle)]) == 0
    assert "--remove --name odder" in capsys.readouterr().err
    assert run_json("prefix", writable_bundle, "--remove", "--name", "odd")["prefixes"] == []
    assert [path.name for path in folder.iterdir()] == ["odder.onnx.kv"]


@pytest.mark.parametrize(
    ("content", "complaint"), [("{", "is no JSON"), ("{}", "holds no list"), ("[3]", "is no tool")]
)
def test_tools_that_are_none(
    writable_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, complaint: str
) -> None:
    (tmp_path / "tools.json").write_text(content, "utf-8")
    assert main(["prefix", str(writable_bundle), "--tools", str(tmp_path / "tools.json")]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("notes", [{}, {"messages": []}, {"system": 3}, {"text": "a", "name": "b"}])
def test_a_file_that_does_not_say_what_it_was_made_of(
    writable_bundle: Path, capsys: pytest.CaptureFixture[str], notes: dict[str, Any]
) -> None:
    (writable_bundle / "prefixes").mkdir()
    write_state(writable_bundle / "prefixes" / "odd.onnx.kv", "another", [1], {}, notes)
    assert main(["prefix", str(writable_bundle), "--rebuild", "--runtime", "onnx"]) == 2
    assert "does not say what it was made of" in capsys.readouterr().err


def test_an_empty_file(writable_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    assert main(["prefix", str(writable_bundle), "--text", str(tmp_path / "empty")]) == 2
    assert "is empty" in capsys.readouterr().err

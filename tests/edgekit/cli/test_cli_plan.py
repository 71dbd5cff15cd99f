from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main
from edgekit.machine import Memory
from edgekit.planning import memory_check

RunJson = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def config(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config") / "tiny"
    folder.mkdir()
    shutil.copy(checkpoint / "config.json", folder)
    return folder


def test_a_config_as_json(config: Path, run_json: RunJson) -> None:
    data = run_json("plan", config, "--device", "pi5-16gb", "--quantize", "int4", "--context", 100)
    assert (data["verdict"], data["context"], data["quantization"]) == ("yes", 100, "int4")
    assert data["device"]["name"] == "pi5-16gb"
    assert [each["runtime"] for each in data["runtimes"]] == ["tflite", "onnx", "openvino"]
    for each in data["runtimes"]:
        memory = each["memory"]
        assert memory["total"] == memory["own"] + memory["mapped"]


def test_a_plan_of_a_source_is_the_plan_of_its_bundle(config: Path, bundle: Path, run_json: RunJson) -> None:
    planned = run_json("plan", config, "--device", "pi5-8gb", "--to", "onnx", "--runtime", "onnx")
    made = run_json("plan", bundle, "--device", "pi5-8gb", "--runtime", "onnx")
    assert planned["runtimes"] == made["runtimes"]


def test_a_bundle_as_a_table(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(bundle), "--device", "laptop-8gb"]) == 0
    shown = capsys.readouterr().out
    for part in ("laptop with 8 GB", "does it fit", "yes, with onnx", "prefill", "decode", "tflite is left out"):
        assert part in shown


def test_what_does_not_fit_is_exit_code_1(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = json.loads((config / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(values | {"intermediate_size": 20_000_000}))
    assert main(["plan", str(tmp_path), "--device", "pi4-4gb", "--to", "onnx"]) == 1
    shown = capsys.readouterr().out
    assert "does it fit   no" in shown
    assert "too large" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--device", "toaster"), 2, "unknown device 'toaster'"),
        (("--device", "pi5-8gb", "--context", "100000"), 2, "--context 100000 is not within"),
        (("--device", "pi5-8gb", "--runtime", "abacus"), 2, "unknown runtime 'abacus'"),
        (("--device", "pi5-8gb", "--to", "gguf"), 2, "unknown format 'gguf'"),
    ],
)
def test_wrong_usage(
    config: Path, arguments: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(config), *arguments]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"llama"', '"mystery"', "the architecture 'mystery' is not supported"),
        ('"hidden_size"', '"hidden"', "config.json: hidden_size is None, not a positive whole number"),
    ],
)
def test_configs_that_no_plan_is_made_of(
    config: Path, tmp_path: Path, old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (config / "config.json").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "config.json").write_text(text.replace(old, new), encoding="utf-8")
    assert main(["plan", str(tmp_path), "--device", "pi5-8gb"]) == 1
    assert message in capsys.readouterr().err


def test_commands_refuse_what_does_not_fit_unless_told_otherwise(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory_check, "read_memory", lambda: Memory(total=None, available=1000))
    assert main(["run", str(bundle), "hello", "--max-tokens", "1"]) == 1
    said = capsys.readouterr().err
    assert "of memory on onnx with a context of" in said
    assert "--no-memory-check" in said
    assert main(["run", str(bundle), "hello", "--max-tokens", "1", "--no-memory-check"]) == 0

"""index, search and ask, as a person and as a machine call them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_encoders

from edgekit.cli import main
from edgekit.cli.knowledge import printable

ROOT = Path(__file__).resolve().parents[3]
RunJson = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_encoders.bundle("embed", tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fox.md").write_text("# Fox\n\nThe quick brown fox.\n\n# Dog\n\nThe lazy dog.\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("She said: jump.", encoding="utf-8")
    return tmp_path


def test_from_files_to_passages(folder: Path, encoder: Path, run_json: RunJson) -> None:
    made = run_json("index", "fox.md", "notes.txt", "-o", "kb", "--encoder", encoder)
    assert (made["documents"], made["chunks"], made["added"], made["faiss"]) == (2, 3, ["fox.md", "notes.txt"], False)
    (folder / "notes.txt").write_text("He said: times.", encoding="utf-8")
    again = run_json("index", "fox.md", "notes.txt", "-o", "kb")
    assert (again["unchanged"], again["replaced"], again["embedded_chunks"]) == (["fox.md"], ["notes.txt"], 1)
    found = run_json("search", "kb", "lazy dog", "--limit", 2)
    assert [(each["source"], each["line"], each["headings"]) for each in found["passages"][:1]] == [
        ("fox.md", 7, ["Dog"])
    ]
    removed = run_json("index", "fox.md", "none.md", "-o", "kb", "--remove", code=1)
    assert (removed["removed"], removed["documents"]) == (["fox.md"], 1)
    assert run_json("index", "-o", "kb")["documents"] == 1


def test_answers_with_sources_or_none(folder: Path, encoder: Path, bundle: Path, run_json: RunJson) -> None:
    run_json("index", "fox.md", "-o", "kb", "--encoder", encoder)
    said = run_json("ask", "kb", "Where is the dog?", "--model", bundle, "--threshold", "-1", "--max-tokens", 4)
    assert (said["declined"], said["wording"]) == (False, "quoted")
    assert said["text"] in ("The lazy dog.", "The quick brown fox.")
    assert said["sources"][0]["source"] == "fox.md"
    declined = run_json("ask", "kb", "Where is the dog?", "--model", bundle, "--threshold", "1.9")
    assert (declined["declined"], declined["sources"], declined["threshold"]) == (True, [], 1.9)


def test_for_people(folder: Path, encoder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "fox.md", "-o", "kb", "--encoder", str(encoder)]) == 0
    shown = capsys.readouterr().out
    assert "1 (1 added)" in shown
    assert "2 (2 embedded now)" in shown
    assert main(["search", "kb", "lazy dog"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("1. fox.md:7")
    assert "Dog\n   The lazy dog." in shown
    assert main(["ask", "kb", "dog?", "--model", str(bundle), "--threshold", "-1", "--max-tokens", "4"]) == 0
    assert "  fox.md:" in capsys.readouterr().out
    assert main(["ask", "kb", "dog?", "--model", str(bundle), "--threshold", "1.9"]) == 0
    assert capsys.readouterr().out.startswith("I do not know")


def test_bad_files_are_told(folder: Path, encoder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.bin").write_bytes(b"\x7fELF\x00\xff")
    (folder / "empty.md").touch()
    assert (
        main(["index", "a.bin", "empty.md", "none.md", "fox.md", "-o", "kb", "--encoder", str(encoder), "--json"]) == 1
    )
    said = capsys.readouterr().err
    for words in ("a.bin: is a binary file: byte 0xFF", "empty.md: has no text", "none.md: cannot be read: No such"):
        assert words in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("index", "fox.md", "-o", "kb"), 2, "kb: there is no knowledge base"),
        (("index", "-o", "kb", "--remove"), 2, "there is no knowledge base"),
        (("index", "fox.md", "-o", "."), 1, "knowledge.db is missing"),
        (("index", "fox.md", "-o", "fox.md", "--encoder", "x.edge"), 2, "fox.md: is there already"),
        (("search", "none", "x"), 1, "none: there is no such folder"),
        (("search", "fox.md", "x"), 1, "fox.md: is a file, not a knowledge base"),
        (("search", "kb", " "), 2, "the prompt is empty"),
        (("ask", "kb", "x"), 2, "Missing option '--model'"),
    ],
)
def test_what_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert main([*arguments]) == code
    assert words in " ".join(capsys.readouterr().err.split())


def test_another_encoder_is_refused(folder: Path, encoder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = small_encoders.bundle("embed", folder, "int8")
    assert main(["index", "fox.md", "-o", "kb", "--encoder", str(encoder)]) == 0
    assert main(["search", "kb", "dog", "--encoder", str(other)]) == 1
    assert "was made with another encoder" in capsys.readouterr().err


def test_nothing_in_a_text_reaches_the_terminal_but_text() -> None:
    assert printable("a\x1b[31mb\x07\u202ec\td\n") == "a�[31mb��c\td\n"


@pytest.mark.slow
def test_two_commands_add_at_once(folder: Path, encoder: Path, run_json: RunJson) -> None:
    run_json("index", "notes.txt", "-o", "kb", "--encoder", encoder)
    for number in range(60):
        (folder / f"{'ab'[number % 2]}{number}.md").write_text(f"The dog {number}.", encoding="utf-8")
    places = [ROOT, ROOT / "exporters", ROOT / "runtimes"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    running = []
    for letter in "ab":
        arguments = ["index", *(path.name for path in folder.glob(f"{letter}*.md")), "-o", "kb"]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "edgekit", *arguments], env=environment, cwd=folder, text=True, **piped
            )
        )
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert run_json("index", "-o", "kb")["documents"] == 61

"""embed, classify and tag: texts in, JSON lines out, whatever is among them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import small_encoders

import edgekit
from edgekit.cli import main

SCHEMAS = Path(edgekit.__file__).parent / "schemas"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    names = {"0": "O", "1": "B-A", "2": "I-A", "3": "B-C", "4": "I-C"}
    tagger = small_encoders.bundle("tag", folder, id2label=names)
    return {"tag": tagger, **{task: small_encoders.bundle(task, folder) for task in ("embed", "classify")}}


def run(capsys: pytest.CaptureFixture[str], task: str, *arguments: object, code: int = 0) -> tuple[list[Any], str]:
    """Return the output's objects, each held to the schema, and what was said on standard error."""
    capsys.readouterr()
    assert main([task, *map(str, arguments)]) == code
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    schema = json.loads((SCHEMAS / f"{task}.schema.json").read_text(encoding="utf-8"))
    for each in found:
        jsonschema.Draft202012Validator(schema).validate(each)
    return found, captured.err


def give(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))


def test_lines_become_vectors(bundles: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["the lazy dog", "größe, naïve café", "dog"]
    (tmp_path / "texts.txt").write_bytes("\r\n".join(texts).encode())
    found, _ = run(capsys, "embed", bundles["embed"], tmp_path / "texts.txt")
    assert [each["line"] for each in found] == [1, 2, 3]
    with edgekit.load(bundles["embed"]) as model:
        np.testing.assert_allclose([each["vector"] for each in found], model.embed(texts), atol=1e-5)


def test_labels_from_standard_input(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, b"the lazy dog\nfox\n")
    found, _ = run(capsys, "classify", bundles["classify"], "--json")
    with edgekit.load(bundles["classify"]) as model:
        expected = model.classify(["the lazy dog", "fox"])
    assert [each["label"] for each in found] == [each.label for each in expected]
    assert [each["probability"] for each in found] == pytest.approx([each.probability for each in expected], abs=1e-5)


def test_spans_of_a_csv_with_fields_over_several_lines(
    bundles: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = 'id,body\n1,"the quick,\nbrown fox"\n\n2,"jumps ""over"""\n3\n4,dog\n'
    (tmp_path / "texts.csv").write_text(content, encoding="utf-8")
    found, said = run(capsys, "tag", bundles["tag"], tmp_path / "texts.csv", "--column", "body", code=1)
    assert [each["line"] for each in found] == [2, 5, 7]
    assert "line 6 has 1 of 2 columns" in said
    text = "the quick,\nbrown fox"
    assert all(span["text"] == text[span["start"] : span["stop"]] for span in found[0]["spans"])


def test_json_lines_take_a_key(bundles: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jsonl").write_text('{"q": "dog"}\n"fox"\n', encoding="utf-8")
    found, _ = run(capsys, "classify", bundles["classify"], tmp_path / "a.jsonl", "--column", "q")
    assert [each["line"] for each in found] == [1, 2]


def test_bad_lines_are_told_and_the_rest_goes_on(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        b'{"text": "dog"}',
        b"{",
        b'{"text": "\xff"}',
        b'{"t": 1}',
        b"[1]",
        b'{"text": "\\ud800"}',
        b'"  "',
        b'"fox"',
    ]
    give(monkeypatch, b"\n".join(lines))
    found, said = run(capsys, "classify", bundles["classify"], "-", "--input", "jsonl", code=1)
    assert [each["line"] for each in found] == [1, 8]
    for words in (
        "line 2 is no JSON", "line 3 is not UTF-8: byte 0xFF", "line 4 has no text 'text'", "line 5 has neither",
        "line 6 is no valid Unicode", "line 7: the text is empty", "6 lines of - left out",
    ):  # fmt: skip
        assert words in said


def test_long_lines(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgekit.cli.records.MAX_LINE", 1 << 20)
    give(monkeypatch, b"dog " * 200_000 + b"\n" + b"x" * (3 << 20) + b"\nfox\n")
    found, said = run(capsys, "embed", bundles["embed"], code=1)
    assert [each["line"] for each in found] == [1, 3]
    assert "line 2 is longer than 1,048,576 bytes" in said


def test_a_text_that_cannot_be_computed_does_not_spoil_the_others(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, b"dog\n" + b"dog " * 200 + b"\nfox\n")
    found, said = run(capsys, "tag", bundles["tag"], code=1)
    assert [each["line"] for each in found] == [1, 3]
    assert "line 2: a text of 202 tokens does not fit" in said


@pytest.mark.parametrize(
    ("name", "content", "arguments", "words"),
    [
        ("a.csv", "id,body\n1,dog\n", (), "has no column 'text'; its columns: id, body"),
        ("a.csv", "", (), "its columns: none"),
        ("a.txt", "dog\n", ("--input", "xml"), "unknown form of input 'xml'"),
        ("a.txt", None, (), "there is no such file"),
    ],
)
def test_what_is_no_input_is_refused(
    bundles: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str, content: str | None, arguments: tuple[str, ...], words: str,
) -> None:  # fmt: skip
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    found, said = run(capsys, "embed", bundles["embed"], tmp_path / name, *arguments, code=2)
    assert found == []
    assert words in said


def test_a_bundle_for_another_task_is_refused(
    bundles: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("dog\n", encoding="utf-8")
    _, said = run(capsys, "classify", bundles["embed"], tmp_path / "a.txt", code=1)
    assert "task 'embed': no model in it classifies texts" in said


def test_inspect_shows_an_encoder(bundles: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(bundles["classify"]), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["task"], data["architecture"], data["layers"]) == ("classify", "bert", 2)
    schema = json.loads((SCHEMAS / "inspect.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)
    assert main(["inspect", str(bundles["classify"])]) == 0


def test_an_export_says_how_to_try_it(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = small_encoders.checkpoint("tag", tmp_path)
    assert main(["export", str(source), "-o", str(tmp_path / "a.edge")]) == 0
    assert f"| edgekit tag {tmp_path / 'a.edge'}" in capsys.readouterr().out


def test_what_generates_text_refuses_an_encoder(bundles: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(bundles["embed"]), "hello"]) == 1
    assert "task 'embed'" in capsys.readouterr().err


def test_bench_measures_an_encoder(bundles: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", str(bundles["embed"]), "--prompt-tokens", "8", "--rounds", "3"]
    assert main([*arguments, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    schema = json.loads((SCHEMAS / "bench.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)
    assert (data["prompt_tokens"], data["new_tokens"]) == (8, 0)
    assert main(arguments) == 0
    assert "texts of 8, in batches" in capsys.readouterr().out


def test_int4_is_refused(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = small_encoders.checkpoint("embed", tmp_path)
    assert main(["export", str(source), "--quantize", "int4", "-o", str(tmp_path / "a.edge")]) == 1
    assert "encoders are not written at int4" in capsys.readouterr().err
    assert not (tmp_path / "a.edge").exists()

"""fit: a file of texts and labels in, a bundle and its figures out, whatever is in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import small_encoders

import edgekit
from edgekit.bundle import Bundle
from edgekit.cli import main

SCHEMAS = Path(edgekit.__file__).parent / "schemas"
ROWS = [("the lazy dog", "animal"), ("fox", "animal"), ("she said", "speech"), ("in all", "speech")] * 4


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    return small_encoders.bundle("embed", tmp_path_factory.mktemp("fit"))


def csv_file(path: Path, extra: str = "", header: str = "text,label") -> Path:
    path.write_text(f"{header}\n" + "".join(f"{text},{label}\n" for text, label in ROWS) + extra, encoding="utf-8")
    return path


def check(name: str, data: Any) -> None:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)


def test_a_bundle_and_its_figures(encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = csv_file(tmp_path / "train.csv")
    test = csv_file(tmp_path / "test.csv", "coffee,drink\n")
    output = tmp_path / "tickets.edge"
    assert main(["fit", str(encoder), str(train), "-o", str(output), "--test", str(test), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    check("fit", data)
    assert (data["name"], data["labels"]) == ("tickets", ["animal", "speech"])
    assert data["figures"]["cross_validation"]["texts"] == 16
    assert "drink" in {pair["label"] for pair in data["figures"]["test"]["confusions"]}
    assert main(["inspect", str(output), "--json"]) == 0
    check("inspect", json.loads(capsys.readouterr().out))
    assert main(["inspect", str(output)]) == 0
    shown = capsys.readouterr().out
    assert "Cross-validation" in shown
    assert "2: animal, speech" in shown
    assert "1, with labels that it was not taught: drink" in shown


def test_tables_show_what_is_confused(encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = csv_file(tmp_path / "train.csv", "fox,speech\n" * 3)
    assert main(["fit", str(encoder), str(train), "-o", str(tmp_path / "a.edge")]) == 0
    shown = capsys.readouterr().out
    assert "Most confused" in shown
    assert "speech   animal" in shown
    assert f"edgekit classify {tmp_path / 'a.edge'}" in shown


def test_bad_lines_are_told_and_the_rest_is_learned_from(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"q": text, "kind": label}) for text, label in ROWS]
    lines += ["{", '{"q": "fox"}', '"fox"', '{"q": "", "kind": "animal"}', '{"q": "fox", "kind": " "}']
    lines += ['{"q": "fox", "kind": "a\\u0007"}', json.dumps({"q": "dog " * 250_000, "kind": "animal"})]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    options = ["--column", "q", "--label", "kind", "-o", str(tmp_path / "a.edge"), "--json"]
    assert main(["fit", str(encoder), str(tmp_path / "a.jsonl"), *options]) == 1
    out, said = capsys.readouterr()
    assert json.loads(out)["figures"]["cross_validation"]["texts"] == 17  # the line of 1 MB is one of them
    for words in (
        "line 17 is no JSON", "line 18 has no text 'kind'", "line 19 is no object", "line 20: the text is empty",
        "line 21: the label is empty", "line 22: the label holds a control character", "6 lines of",
    ):  # fmt: skip
        assert words in said
    Bundle.open(tmp_path / "a.edge")


@pytest.mark.parametrize(
    ("name", "content", "arguments", "words"),
    [
        ("a.csv", "id,body\n1,dog\n", (), "has no column 'text'; its columns: id, body"),
        ("a.csv", "text,kind\ndog,x\n", (), "has no column 'label'; its columns: text, kind"),
        ("a.csv", "text,label\ndog,x\nfox,x\n", (), "all texts have the label 'x'"),
        ("a.csv", "text,label\n", (), "a.csv has no line with a text and a label"),
        ("a.txt", "dog\n", (), "lines of text have no labels"),
        ("a.csv", None, (), "there is no such file"),
        ("a.csv", "text,label\ndog,x\nfox,y\n", ("--accuracy", "97"), "accuracy is 97.0"),
    ],
)
def test_what_is_nothing_to_learn_from_is_refused(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str, content: str | None, arguments: tuple[str, ...], words: str,
) -> None:  # fmt: skip
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    output = tmp_path / "out.edge"
    assert main(["fit", str(encoder), str(tmp_path / name), "-o", str(output), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not output.exists()

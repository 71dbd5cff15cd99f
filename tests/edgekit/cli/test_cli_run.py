from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main

RunJson = Callable[..., dict[str, Any]]


def give(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))


def test_the_answer_is_printed_and_ends_with_a_line_end(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(bundle), "hello", "--max-tokens", "5"]) == 0
    captured = capsys.readouterr()
    assert captured.out.endswith("\n")
    assert captured.err == ""


def test_the_same_seed_gives_the_same_answer(bundle: Path, run_json: RunJson) -> None:
    options = ("--max-tokens", 12, "--temperature", 1.5, "--seed", 3, "--top-k", 50, "--top-p", 0.95, "--min-p", 0.01)
    first, second = run_json("run", bundle, "hello", *options), run_json("run", bundle, "hello", *options)
    assert first["tokens"] == second["tokens"]
    assert first["text"] == second["text"]
    assert first["finish_reason"] in ("stop", "length")


def test_what_is_streamed_is_what_json_says(
    bundle: Path, run_json: RunJson, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--raw", "--max-tokens", "20"]
    said = run_json("run", bundle, "abc", *options)["text"]
    assert main(["run", str(bundle), "abc", *options]) == 0
    assert capsys.readouterr().out == f"{said}\n"


def test_standard_input_is_the_prompt(bundle: Path, run_json: RunJson, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run_json("run", bundle, "caf\u00e9", "--max-tokens", 6)
    give(monkeypatch, "caf\u00e9\n".encode())
    assert run_json("run", bundle, "-", "--max-tokens", 6)["tokens"] == expected["tokens"]


def test_the_system_message_changes_the_prompt(bundle: Path, run_json: RunJson) -> None:
    plain = run_json("run", bundle, "hello", "--max-tokens", 1)["timings"]["prompt_tokens"]
    system = run_json("run", bundle, "hello", "--system", "Be brief.", "--max-tokens", 1)["timings"]["prompt_tokens"]
    assert system > plain


def test_a_bundle_without_a_tokenizer_is_driven_by_ids(
    bundle_without_text: Path, run_json: RunJson, capsys: pytest.CaptureFixture[str]
) -> None:
    data = run_json("run", bundle_without_text, "--ids", "10 20 30", "--max-tokens", 4)
    assert len(data["tokens"]) <= 4
    assert main(["run", str(bundle_without_text), "--ids", "10 20 30", "--max-tokens", "4"]) == 0
    assert [int(part) for part in capsys.readouterr().out.split()] == data["tokens"]


def test_text_for_a_bundle_without_a_tokenizer_says_what_is_missing(
    bundle_without_text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(bundle_without_text), "hello"]) in (1, 2)
    captured = capsys.readouterr()
    assert "tokenizer" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["  "],
        ["a\udcff"],
        ["hello", "--system", "\udcff"],
        ["hello", "--stop", "\udcff"],
        ["hello", "--system", "x", "--raw"],
        ["hello", "--max-tokens", "0"],
        ["hello", "--temperature", "-1"],
        ["hello", "--temperature", "nan"],
        ["hello", "--top-k", "-1"],
        ["hello", "--top-p", "0"],
        ["hello", "--min-p", "2"],
        ["hello", "--repetition-penalty", "0"],
        ["hello", "--stop", ""],
        ["hello", "--threads", "0"],
        ["hello", "--context", "0"],
        ["hello", "--runtime", "steam"],
        ["--ids", "1 two"],
        ["--ids", "1 99999"],
    ],
)
def test_wrong_usage_is_told_before_anything_is_printed(
    bundle: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(bundle), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err
    assert "Traceback" not in captured.err


def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(bundle), "a" * 100, "--raw", "--context", "64"]) == 1
    captured = capsys.readouterr()
    assert "100" in captured.err
    assert "64" in captured.err
    assert captured.out == ""


def test_bytes_that_are_no_text_are_wrong_usage(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, b"\xc3\x28")
    assert main(["run", str(bundle), "-"]) == 2
    assert "standard input is not UTF-8: byte 0xC3 at offset 0" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path), "hello"]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows arguments are Unicode")
def test_an_argument_that_is_no_utf8_is_wrong_usage(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", "run", str(bundle), b"\xff\xfe"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: the prompt is no valid Unicode: U+DCFF")


def test_an_answer_with_a_schema(bundle: Path, run_json: RunJson, tmp_path: Path) -> None:
    (tmp_path / "form.json").write_text('{"enum": ["left", "right"]}', "utf-8")
    (tmp_path / "form.regex").write_text("[ab]{3}\n", "utf-8")
    (tmp_path / "form.lark").write_text('start: "yes" | "no"', "utf-8")
    for name, expected in (("form.json", ("left", "right")), ("form.lark", ("yes", "no"))):
        assert run_json("run", bundle, "hello", "--schema", tmp_path / name)["value"] in expected
    assert set(run_json("run", bundle, "hello", "--schema", tmp_path / "form.regex")["value"]) <= {"a", "b"}
    cut = run_json("run", bundle, "hello", "--schema", tmp_path / "form.regex", "--max-tokens", 1)
    assert (cut["finish_reason"], cut["value"]) in (("length", None), ("stop", cut["text"]))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("form.json", "{", "cannot be read"),
        ("form.json", '{"not": {}}', 'the keywords "not" are not supported'),
        ("form.regex", "(", "cannot be read"),
        ("form.txt", "x", "of no known kind"),
        ("form.lark", "start: missing", "cannot be kept to"),
    ],
)
def test_schemas_that_are_none(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, complaint: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert main(["run", str(bundle), "hello", "--schema", str(tmp_path / name)]) == 2
    assert complaint in capsys.readouterr().err

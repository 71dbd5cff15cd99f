"""What people type and pipe, through the commands: refused in words before any work, and the model stays usable."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from refusals import refusal
from tiny_checkpoint import write_tiny_checkpoint

import edgekit
from edgekit.cli import main
from edgekit.errors import SessionBusyError, UsageError
from edgekit.session import DecoderSession


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    source = write_tiny_checkpoint(folder / "tiny")
    assert main(["export", str(source), "-o", str(folder / "tiny.edge"), "--quantize", "none", "--json"]) == 0
    return folder / "tiny.edge"


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(*_: Any, **__: Any) -> None:
        pytest.fail("something was computed")

    monkeypatch.setattr(DecoderSession, "forward", forward)


def pipe(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", errors="surrogateescape"))


@pytest.mark.parametrize("command", ["run", "chat"])
@pytest.mark.parametrize(
    "raw", [b"\xff\n", b"abc\xc3", b"\x80", b"lone \xed\xa0\x80 surrogate\n", b"\xf8\x88\x80\x80\x80"], ids=repr
)
def test_bytes_that_are_no_text(
    bundle: Path, command: str, raw: bytes, no_work: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pipe(monkeypatch, raw)
    arguments = [command, bundle, *(["-"] if command == "run" else [])]
    assert "UTF-8" in refusal(capsys, *arguments, code=2)


@pytest.mark.parametrize("raw", [b"", b"\n", b" \t\r\n", b"\xef\xbb\xbf"], ids=repr)
def test_an_empty_prompt(
    bundle: Path, raw: bytes, no_work: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, raw)
    assert "empty" in refusal(capsys, "run", bundle, "-", code=2)


@pytest.mark.parametrize("prompt", ["a\ud800", "\udfff", "\ud83d then \ude42"], ids=ascii)
def test_lone_surrogates(bundle: Path, prompt: str, no_work: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no valid Unicode: U+D" in refusal(capsys, "run", bundle, prompt, code=2)
    with edgekit.load(bundle) as model, pytest.raises(UsageError):
        model.generate(prompt)


def test_a_prompt_that_is_too_long(bundle: Path, no_work: None, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "run", bundle, "a" * 70, "--raw", "--context", 64)
    assert "70 tokens" in said
    assert "64" in said
    assert "hint: shorten it" in said


@pytest.mark.parametrize(
    "options",
    [
        ["--max-tokens", "0"],
        ["--max-tokens", "-3"],
        ["--temperature", "-0.1"],
        ["--temperature", "inf"],
        ["--top-k", "-1"],
        ["--top-p", "1.5"],
        ["--min-p", "-1"],
        ["--repetition-penalty", "-2"],
        ["--context", "513"],
        ["--runtime", "abacus"],
    ],
    ids=" ".join,
)
def test_settings_out_of_range(
    bundle: Path, options: list[str], no_work: None, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, "run", bundle, "hello", *options, code=2)
    assert options[1].lstrip("-") in said


@pytest.mark.parametrize("command", ["export", "run", "chat", "verify", "bench", "inspect", "doctor", "demo"])
@pytest.mark.parametrize("option", ["--frobnicate", "--frobnicate=3", "-Z"])
def test_unknown_options(command: str, option: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(bundle), option]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert option.partition("=")[0] in captured.err
    assert "Traceback" not in captured.err


def test_two_threads_on_one_model(bundle: Path) -> None:
    """One is told that the other is at work; neither harms the other."""
    told: list[str] = []
    with edgekit.load(bundle) as model:
        expected = model.generate("hello", max_tokens=12, seed=1, temperature=1.0)

        def other() -> None:
            try:
                model.generate("something else", max_tokens=4)
            except SessionBusyError as error:
                told.append(error.message)

        with model.stream("hello", max_tokens=12, seed=1, temperature=1.0) as stream:
            next(stream)
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(30)
            for _ in stream:
                pass
        assert told == ["the model is answering another caller"]
        assert stream.reply.tokens == expected.tokens
        other()
        assert len(told) == 1

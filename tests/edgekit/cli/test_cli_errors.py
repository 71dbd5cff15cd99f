from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from edgekit.cli.errors import exit_code_of
from edgekit.errors import BundleError, MissingExtraError, UsageError


def outcome(error: BaseException | None, result: int | None = None) -> int:
    def command() -> int | None:
        if error is not None:
            raise error
        return result

    with pytest.raises(typer.Exit) as leaving:
        exit_code_of(command)()
    return int(leaving.value.exit_code)


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (BundleError("x.edge is damaged", "export again"), 1, ["error: x.edge is damaged", "hint: export again"]),
        (BundleError("two\nlines"), 1, ["error: two lines"]),
        (UsageError("max_tokens is 0", "at least 1"), 2, ["error: max_tokens is 0", "hint: at least 1"]),
        (
            MissingExtraError("onnx", "exporting", "export"),
            1,
            [
                "error: exporting needs the package onnx, which is not installed",
                'hint: pip install "edgekit-sdk[export]"',
            ],
        ),
        (KeyboardInterrupt(), 130, ["error: interrupted"]),
        (SystemExit(1), 1, []),
        (
            OSError(errno.ENOSPC, "No space left on device", "a/model.data"),
            1,
            [
                "error: no space left on the disk: a/model.data",
                "hint: free some space, or write to another disk",
            ],
        ),
        (OSError(errno.EXDEV, "Invalid cross-device link"), 1, ["error: Invalid cross-device link"]),
        (
            MemoryError(),
            1,
            ["error: not enough memory", "hint: close other programs or choose a smaller model or context"],
        ),
    ],
)
def test_what_went_wrong_is_told_in_two_lines(
    error: BaseException, code: int, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(error) == code
    captured = capsys.readouterr()
    assert captured.err.splitlines() == lines
    assert captured.out == ""


def test_permission_denied_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "there")) == 1
    assert capsys.readouterr().err.startswith("error: permission denied: there\nhint: ")


def test_a_bug_is_told_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(ValueError("odd")) == 1
    assert capsys.readouterr().err.startswith("error: unexpected ValueError: odd\nhint: this is a bug in EdgeKit")


def test_a_bug_shows_where_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_DEBUG", "1")

    def command() -> int:
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        exit_code_of(command)()


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_result_is_the_exit_code(result: int | None, code: int) -> None:
    assert outcome(None, result) == code


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    script = """
import sys
from edgekit.cli.errors import exit_code_of
import typer
def command():
    while True:
        print("word " * 1000, flush=True)
try:
    exit_code_of(command)()
except typer.Exit as leaving:
    sys.exit(leaving.exit_code)
"""
    process: Any = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(20) == 1

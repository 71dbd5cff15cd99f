"""What a command must do with bad input: say it in words, exit with 1 or 2, print and leave nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgekit.cli import main


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 1) -> str:
    """Run a command that must fail, and return the two lines that it said."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    # In front of them there may be lines of progress.
    said = captured.err[captured.err.index("error: ") :]
    assert "unexpected" not in said, "a bug that is told as one is still a bug"
    lines = said.splitlines()
    assert len(lines) in (1, 2)
    assert all(line.startswith(("error: ", "hint: ")) for line in lines)
    return said


def replace_file(bundle: Path, name: str, content: bytes) -> None:
    """Replace a file of a bundle and make the manifest fit it, as someone would who means harm."""
    (bundle / name).write_bytes(content)
    path = bundle / "edgekit.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(manifest), encoding="utf-8")

from __future__ import annotations

import io
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuse every socket, and remember who asked."""
    asked: list[object] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        asked.append(arguments)
        raise OSError("no network in this test")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    return asked


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "BUNDLE", "hello", "--max-tokens", "3"],
        ["chat", "BUNDLE", "--max-tokens", "3"],
        ["bench", "BUNDLE", "--prompt-tokens", "8", "--new-tokens", "2", "--rounds", "3"],
        ["verify", "BUNDLE"],
        ["inspect", "BUNDLE"],
        ["doctor"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_but_export_needs_the_network(
    arguments: list[str], bundle: Path, tmp_path: Path, no_network: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle, tmp_path / "copy.edge")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello\n"), encoding="utf-8"))
    assert main([str(tmp_path / "copy.edge") if part == "BUNDLE" else part for part in arguments]) == 0
    assert no_network == []

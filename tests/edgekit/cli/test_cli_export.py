from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main


def test_a_summary_is_printed_and_progress_goes_to_standard_error(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "here.edge"
    assert main(["export", str(checkpoint), "-o", str(output), "--quantize", "int4", "--name", "Tiny"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"Wrote {output}\n  name")
    assert "int4" in captured.out
    assert "edgekit run" in captured.out
    assert "Quantize and write" in captured.err


def test_the_summary_as_json(checkpoint: Path, tmp_path: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    data = run_json("export", checkpoint, "-o", tmp_path / "x.edge", "--context", 64, "--to", "onnx,onnx")
    assert data["formats"]["onnx"]["context_max"] == 64
    assert data["seconds"] > 0


def test_a_folder_that_exists_is_kept_without_force(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "x.edge" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine", encoding="utf-8")
    assert main(["export", str(checkpoint), "-o", str(kept.parent)]) in (1, 2)
    captured = capsys.readouterr()
    assert "--force" in captured.err
    assert captured.out == ""
    assert kept.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [kept.parent]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--to", ","), ("--to", "floppy"), ("--quantize", "int3"), ("--context", "0"), ("--context", "513")],
)
def test_options_out_of_range_are_wrong_usage(
    checkpoint: Path, tmp_path: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(checkpoint), "-o", str(tmp_path / "x.edge"), option, value]) == 2
    assert capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_comes_with_the_command_that_installs_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("edgekit_exporters.formats.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", str(checkpoint), "-o", str(tmp_path / "x.edge")]) == 1
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "error: exporting needs the package onnx, which is not installed",
        'hint: pip install "edgekit-sdk[export]"',
    ]

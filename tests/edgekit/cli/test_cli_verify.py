from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main
from edgekit.cli.verify import print_verification

RunJson = Callable[..., dict[str, Any]]


def result(**changes: Any) -> dict[str, Any]:
    fidelity = {
        "positions": 100, "top1": 0.97, "decided": 60, "top1_decided": 0.95, "max_error": 0.2, "rms_error": 0.05,
        "passed": False,
    }  # fmt: skip
    return {
        "formats": {"onnx": {"runtime": "onnx", "engine": "1.32.0", "passed": False, "fidelity": fidelity}},
        "unmeasured": {}, "tokenizer_agrees": None, "template_agrees": None, "passed": False, **changes,
    }  # fmt: skip


def row(shown: str, figure: str) -> str:
    return next(line for line in shown.splitlines() if figure in line).rstrip()


def test_a_sound_bundle_passes_and_keeps_its_figures(
    bundle: Path, checkpoint: Path, tmp_path: Path, run_json: RunJson
) -> None:
    copy = tmp_path / "copy.edge"
    shutil.copytree(bundle, copy)
    data = run_json("verify", copy, "--against", checkpoint)
    assert data["passed"]
    assert (data["tokenizer_agrees"], data["template_agrees"]) == (True, True)
    assert run_json("inspect", copy)["formats"]["onnx"]["quality"]["loss"]["positions"] > 0


def test_the_table_shows_the_figures(bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy = tmp_path / "copy.edge"
    shutil.copytree(bundle, copy)
    assert main(["verify", str(copy)]) == 0
    shown = capsys.readouterr().out
    assert row(shown, "same best token").endswith("pass")
    assert "perplexity" not in shown


def test_a_figure_that_falls_short_is_marked_beside_what_is_demanded(capsys: pytest.CaptureFixture[str]) -> None:
    print_verification("x.edge", False, result(unmeasured={"tflite": "nothing here runs tflite"}))
    shown = capsys.readouterr().out
    assert "95.00% of 60 clear positions" in row(shown, "same best token")
    assert row(shown, "same best token").endswith("fail")
    assert row(shown, "RMS difference").endswith("pass")
    assert row(shown, "nothing here runs tflite").endswith("fail")
    assert "FAILED" in shown


def test_a_float_bundle_is_held_to_float_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    print_verification("x.edge", True, result())
    shown = capsys.readouterr().out
    assert "100%" in row(shown, "same best token")
    assert row(shown, "largest difference").endswith("fail")


def test_a_bundle_that_falls_short_is_exit_code_1(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, run_json: RunJson, tmp_path: Path
) -> None:
    from edgekit import registry

    copy = tmp_path / "copy.edge"
    shutil.copytree(bundle, copy)
    monkeypatch.setattr(registry.exporter("figures"), "QUANTIZED_RMS", 0.0)
    assert not run_json("verify", copy, code=1)["passed"]

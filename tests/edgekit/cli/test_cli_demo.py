from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import demo, main


@pytest.fixture
def cache(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache folder; the demo's model is the tiny one."""
    monkeypatch.setattr(demo, "SOURCE", str(checkpoint))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))  # put back afterwards: the demo sets it
    return tmp_path


def test_it_exports_answers_and_shows_what_it_took(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--cache", str(cache)]) == 0
    captured = capsys.readouterr()
    assert f"> {demo.PROMPT}" in captured.out
    for row in ("size", "peak memory", "load time", "prefill", "decode"):
        assert f"  {row}  " in captured.out
    assert "Quantize and write" in captured.err


def test_a_whole_bundle_is_used_again_and_a_damaged_one_replaced(
    cache: Path, run_json: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    run_json("demo", "--cache", cache)
    manifest = cache / demo.FOLDER / "edgekit.json"
    first = manifest.stat().st_ino, manifest.stat().st_mtime_ns
    run_json("demo", "--cache", cache)
    assert (manifest.stat().st_ino, manifest.stat().st_mtime_ns) == first
    manifest.write_text(json.dumps({}), encoding="utf-8")
    run_json("demo", "--cache", cache)
    assert json.loads(manifest.read_text(encoding="utf-8"))["name"] == demo.NAME


@pytest.mark.slow
def test_the_real_model_knows_the_capital_of_france(
    downloads: Path, run_json: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(downloads))
    data = run_json("demo", "--cache", downloads)
    assert "Paris" in data["text"]
    assert data["finish_reason"] == "stop"

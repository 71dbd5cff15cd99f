from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import write_tiny_checkpoint

from edgekit import registry
from edgekit.cli import main
from edgekit.decoder import Availability
from edgekit.machine import lacks


def test_a_bundle_as_json(bundle: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    data = run_json("inspect", bundle)
    assert (data["kind"], data["architecture"], data["layers"]) == ("bundle", "llama", 2)
    assert data["size"] == sum(
        path.stat().st_size for path in bundle.rglob("*") if path.name != "edgekit.json" and path.is_file()
    )
    assert data["formats"]["onnx"]["context_max"] == 512
    assert data["auto"] == {"runtime": "onnx", "reason": "the only runtime here that opens this bundle"}


def test_a_bundle_as_a_table(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(bundle)]) == 0
    shown = capsys.readouterr().out
    for expected in ("llama", "2 layers, 32 wide, 4 heads over 2 key/value heads", "int8", "onnx/model.onnx"):
        assert expected in shown


@pytest.mark.parametrize("capped", [False, True])
def test_the_form_of_an_openvino_cache(
    capped: bool,
    checkpoint: Path,
    shared: Path,
    tmp_path: Path,
    run_json: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Paged attention has no cap on scores, which gemma2 wants; on Arm it wants SVE."""
    form = "stateful" if capped or lacks("sve") else "paged"
    source = shared / "golden" / "decoders" / "gemma2" if capped else checkpoint
    path = str(tmp_path / "b.edge")
    exported = run_json("export", str(source), "-o", path, "--to", "openvino,onnx", "--quantize", "none")
    for data in (exported, run_json("inspect", path)):
        assert {name: entry["form"] for name, entry in data["formats"].items()} == {"openvino": form, "onnx": None}
    capsys.readouterr()
    assert main(["inspect", path]) == 0
    assert capsys.readouterr().out.count(f"{form} cache") == 1


def test_a_bundle_that_nothing_here_opens(
    bundle: Path, run_json: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Availability(ok=False, reason="onnxruntime is not installed", hint="install it")
    monkeypatch.setattr(type(registry.runtime("onnx")), "available", lambda _: absent)
    data = run_json("inspect", bundle)
    assert data["auto"]["runtime"] is None
    assert "onnxruntime is not installed" in data["auto"]["reason"]


def test_a_checkpoint_as_json(checkpoint: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    data = run_json("inspect", checkpoint)
    assert (data["kind"], data["supported"], data["problem"], data["parameters"]) == ("checkpoint", True, None, 23808)


def test_a_checkpoint_that_cannot_be_exported_says_why(tmp_path: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    folder = write_tiny_checkpoint(tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "mamba"}), encoding="utf-8")
    data = run_json("inspect", folder)
    assert data["supported"] is False
    assert "'mamba' is not supported" in data["problem"]


def test_what_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "nothing")]) in (1, 2)
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert "nothing" in captured.err

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import onnx
import pytest
from refusals import replace_file
from tiny_checkpoint import write_tiny_checkpoint

from edgekit import registry
from edgekit.bundle import Bundle
from edgekit.decoder import Availability
from edgekit.errors import BundleError, UsageError
from edgekit_exporters import verify as verify_module
from edgekit_exporters.export import export
from edgekit_exporters.verify import sample_ids, verify


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("verify") / "tiny")


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    return export(checkpoint, quantize="none", output=checkpoint.parent / "none.edge")


@pytest.fixture
def bundle(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(verify_module, "TOKENS", 48)
    shutil.copytree(exported, tmp_path / "x.edge")
    return tmp_path / "x.edge"


def test_a_float_bundle_is_the_checkpoint(bundle: Path, checkpoint: Path) -> None:
    found = verify(bundle, checkpoint)
    assert found.passed
    assert (found.tokenizer_agrees, found.template_agrees, found.unmeasured) == (True, True, {})
    verdict = found.formats["onnx"]
    assert verdict.fidelity.top1 == 1.0
    assert verdict.loss is not None
    assert verdict.loss.top1 == 1.0
    assert verdict.loss.kl < 1e-6
    json.dumps(found.to_json())


def test_the_figures_are_kept_in_the_manifest_and_the_loss_of_an_earlier_time_too(
    bundle: Path, checkpoint: Path
) -> None:
    verify(bundle, checkpoint)
    verify(bundle)
    quality = Bundle.open(bundle).manifest.formats["onnx"].quality
    assert quality["passed"] is True
    assert quality["fidelity"]["positions"] == 48
    assert quality["loss"]["positions"] == 48
    assert [path.name for path in bundle.iterdir() if path.name.startswith(".")] == []


def test_without_a_checkpoint_texts_are_not_compared(bundle: Path) -> None:
    found = verify(bundle)
    assert (found.tokenizer_agrees, found.template_agrees) == (None, None)
    assert found.formats["onnx"].loss is None
    assert found.passed


def test_weights_that_are_not_those_of_the_graph_fall_short(bundle: Path) -> None:
    """The reference computes with what the index points at, the engine with what its graph does."""
    path = bundle / "onnx" / "model.onnx"
    model = onnx.load_model(str(path), load_external_data=False)
    (entry,) = [entry for entry in model.metadata_props if "weights" in entry.key]
    index = json.loads(entry.value)
    first, second = (index[f"layers.{layer}.mlp.up.weight"] for layer in (0, 1))
    first["values"], second["values"] = second["values"], first["values"]
    entry.value = json.dumps(index)
    replace_file(bundle, "onnx/model.onnx", model.SerializeToString())
    found = verify(bundle)
    assert not found.passed
    assert not Bundle.open(bundle).manifest.formats["onnx"].quality["passed"]


def test_another_tokenizer_or_template_is_noticed(bundle: Path, checkpoint: Path) -> None:
    template = (bundle / "chat_template.jinja").read_text(encoding="utf-8")
    replace_file(bundle, "chat_template.jinja", template.replace("assistant", "robot").encode())
    found = verify(bundle, checkpoint)
    assert (found.tokenizer_agrees, found.template_agrees, found.passed) == (True, False, False)
    tokenizer = (bundle / "tokenizer.json").read_text(encoding="utf-8")
    replace_file(bundle, "tokenizer.json", tokenizer.replace('"1.0"', '"1.0" ').encode())
    assert verify(bundle, checkpoint).tokenizer_agrees is False


def test_a_checkpoint_of_another_model_is_refused(bundle: Path, tmp_path: Path, shared: Path) -> None:
    with pytest.raises(UsageError, match="was not made from this checkpoint"):
        verify(bundle, shared / "golden" / "decoders" / "llama_gqa")


def test_a_format_that_nothing_here_runs_is_not_passed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Availability(ok=False, reason="onnxruntime is not installed")
    monkeypatch.setattr(type(registry.runtime("onnx")), "available", lambda self: gone)
    found = verify(bundle)
    assert "onnxruntime is not installed" in found.unmeasured["onnx"]
    assert not found.passed


def test_every_hash_is_checked_whatever_was_checked_before(bundle: Path) -> None:
    verify(bundle)
    path = bundle / "onnx" / "model.onnx.data"
    before = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(BundleError, match="SHA-256"):
        verify(bundle)


def test_what_is_compared(bundle: Path, tmp_path: Path) -> None:
    assert len(sample_ids(Bundle.open(bundle))) == 48
    small = export(write_tiny_checkpoint(tmp_path / "ids", text=False), context=20, output=tmp_path / "ids.edge")
    ids = sample_ids(Bundle.open(small))
    assert len(ids) == 20
    assert 0 <= ids.min() <= ids.max() < 259
    assert verify(small).formats["onnx"].fidelity.positions == 20

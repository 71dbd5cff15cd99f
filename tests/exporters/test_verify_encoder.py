from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import small_encoders

import edgekit
from edgekit.bundle import Bundle
from edgekit.cli import main
from edgekit_exporters.export import export
from edgekit_exporters.verify import verify
from edgekit_exporters.verify_encoder import EncoderFidelity, EncoderLoss, sample

SCHEMA = json.loads((Path(edgekit.__file__).parent / "schemas" / "verify.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("quantize", ["none", "int8"])
@pytest.mark.parametrize("task", ["embed", "classify", "tag"])
def test_every_task_is_measured(task: str, quantize: str, shared: Path, tmp_path: Path) -> None:
    bundle = small_encoders.bundle(task, tmp_path, quantize)
    verification = verify(bundle, tmp_path / f"{task}-checkpoint")
    verdict = verification.formats["onnx"]
    assert verification.passed
    assert isinstance(verdict.fidelity, EncoderFidelity)
    assert isinstance(verdict.loss, EncoderLoss)
    assert verdict.fidelity.cosine >= (0.999999 if quantize == "none" else 0.99)
    assert verdict.loss.cosine >= (0.999999 if quantize == "none" else 0.98)
    assert (verdict.loss.same_label is None) == (task == "embed")
    assert verification.tokenizer_agrees
    kept = Bundle.open(bundle).manifest.formats["onnx"].quality
    assert kept["fidelity"]["cosine"] == verdict.fidelity.cosine
    jsonschema.Draft202012Validator(SCHEMA).validate(verification.to_json())


def test_a_bundle_without_a_tokenizer_is_measured_by_ids(shared: Path, tmp_path: Path) -> None:
    source = shared / "golden" / "encoders" / "modernbert"
    bundle = Bundle.open(export(source, quantize="int8", output=tmp_path / "a.edge"))
    texts = sample(bundle)
    assert len(set(texts.mask.sum(axis=1).tolist())) > 6
    assert verify(bundle.path).passed


def test_wrong_weights_fall_short(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = small_encoders.bundle("embed", tmp_path)
    assert main(["verify", str(bundle)]) == 0
    assert "cosine to the reference" in capsys.readouterr().out
    from edgekit.encoder_session import EncoderSession

    monkeypatch.setattr(EncoderSession, "encode", lambda self, ids, mask: np.ones((*ids.shape, 64), np.float32))
    assert main(["verify", str(bundle)]) == 1
    assert "FAILED" in capsys.readouterr().out

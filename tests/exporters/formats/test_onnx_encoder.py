"""What the ONNX format must get right of encoders and no published model shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from encoder_cases import encoder_cases

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.encoder_session import open_encoder_session
from edgekit_exporters.export import export
from edgekit_exporters.reference import Reference


def zero(path: Path, part: str) -> int:
    """Make all tensors of a safetensors file zero whose name has this part, and return how many there are."""
    raw = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(raw[:8], "little")
    spans = [entry["data_offsets"] for name, entry in json.loads(raw[8:start]).items() if part in name]
    for first, end in spans:
        raw[start + first : start + end] = bytes(end - first)
    path.write_bytes(raw)
    return len(spans)


def test_rows_of_zeros_stay_zeros_at_8_bits(shared: Path, tmp_path: Path) -> None:
    """Rows are divided by their largest value, which a norm without weights makes 0."""
    case = next(case for case in encoder_cases() if str(case) == "bert_mean")
    source = tmp_path / "checkpoint"
    shutil.copytree(case.path, source)
    assert zero(source / "model.safetensors", "layer.0.attention.output.LayerNorm") == 2
    ids, mask, _ = case.batch()
    with Reference.open(source) as reference:
        truth = reference.encode(ids, mask)[mask > 0]
    bundle = Bundle.open(export(source, to=("onnx",), quantize="int8", output=tmp_path / "int8.edge"))
    with open_encoder_session(bundle, "onnx", LoadOptions(context=64, threads=1)) as session:
        found = session.encode(ids, mask)[mask > 0]
    assert np.isfinite(found).all()
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(truth, axis=1)
    assert ((found * truth).sum(axis=1) / lengths).min() > 0.98

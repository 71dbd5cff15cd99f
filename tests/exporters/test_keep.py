"""`--quantize keep`: blocks of a GGUF file are carried over as they are, where a format holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decoder_cases import decoder_cases
from gguf_conversion import convert

from edgekit.bundle import Bundle
from edgekit_exporters.architecture import read_model
from edgekit_exporters.checkpoints.gguf import open_gguf
from edgekit_exporters.export import export
from edgekit_exporters.format import find_format
from edgekit_exporters.quantization import stored_precision
from edgekit_exporters.verify import verify
from edgekit_exporters.weights import Stored

FOLDERS = {str(case): case.path for case in decoder_cases()}
CASES = {"llama_gqa": "llama", "phi3": "phi3", "gpt2": "gpt2"}
"""Permuted rows; sliced ones; a matrix that two transpositions leave as it is."""


def written_exactly(path: Path, bundle: Path, format_name: str) -> dict[str, bool]:
    """Return for every matrix whether what was written stands for the very values of the file."""
    written = find_format(format_name).read_weights(bundle)
    with open_gguf(path) as checkpoint:
        weights = read_model(checkpoint).weights
        return {
            name: bool(np.array_equal(written[name].all(), rows.all()))
            for name, rows in weights.items()
            if len(rows.shape) == 2 and rows.stored.bits < 16
        }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q5_0"])
@pytest.mark.parametrize("format_name", ["onnx", "openvino"])
def test_blocks_are_carried_over(shared: Path, tmp_path: Path, case: str, kind: str, format_name: str) -> None:
    path = convert(FOLDERS[case], tmp_path / "model.gguf", CASES[case], kind)
    bundle = export(path, format_name, "keep", tmp_path / "model.edge")
    exact = written_exactly(path, bundle, format_name)
    assert len(exact) > 10
    assert all(exact.values()), exact
    quantization = Bundle.open(bundle).manifest.quantization
    assert quantization["mode"] == "keep"
    bits = 4 if kind == "Q4_0" else 8
    assert quantization[f"{format_name}.linear"].startswith(f"int{bits} block ")
    # OpenVINO has several block sizes in one model; whatever was quantized is the source's.
    parts = "; ".join(how for key, how in quantization.items() if key != "mode").split("; ")
    assert all(part.endswith(", as in the source") for part in parts if "int" in part)


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0"])
def test_a_format_that_cannot_hold_them_rounds_again(shared: Path, tmp_path: Path, kind: str) -> None:
    path = convert(FOLDERS["llama_gqa"], tmp_path / "model.gguf", "llama", kind)
    bundle = export(path, "tflite", "keep", tmp_path / "model.edge")
    assert not any(written_exactly(path, bundle, "tflite").values())
    applied = Bundle.open(bundle).manifest.quantization["tflite.linear"]
    assert applied == {"Q4_0": "int4 block 32 symmetric", "Q8_0": "int8 per row symmetric"}[kind]


def test_types_with_a_minimum_become_what_is_nearest(shared: Path, tmp_path: Path) -> None:
    path = convert(FOLDERS["llama_gqa"], tmp_path / "model.gguf", "llama", "Q4_1")
    quantization = Bundle.open(export(path, "onnx", "keep", tmp_path / "model.edge")).manifest.quantization
    assert quantization["onnx.linear"] == "int4 block 32 with zero points"
    assert quantization["onnx.head"] == "int8 block 32 symmetric"


def test_floats_stay_floats(shared: Path, tmp_path: Path) -> None:
    bundle = export(FOLDERS["llama_gqa"], "onnx", "keep", tmp_path / "model.edge")
    quantization = Bundle.open(bundle).manifest.quantization
    assert (quantization["mode"], quantization["onnx.linear"]) == ("none", "float32")


@pytest.mark.parametrize(
    ("case", "format_name"), [("phi3", "onnx"), ("phi3", "openvino"), ("llama_gqa", "openvino"), ("phi3", "tflite")]
)
@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0"])
def test_engines_compute_with_what_was_carried_over(
    shared: Path, tmp_path: Path, case: str, kind: str, format_name: str
) -> None:
    path = convert(FOLDERS[case], tmp_path / "model.gguf", CASES[case], kind)
    verification = verify(export(path, format_name, "keep", tmp_path / "model.edge"))
    assert verification.passed, verification


def test_the_nearest_precision() -> None:
    linear, head, norm = "layers.0.mlp.up.weight", "head.weight", "norm.weight"
    wanted = {4.5: "int4", 5.0: "int4", 5.5: "int8", 6.5625: "int8", 8.5: "int8", 16.0: "none", 32.0: "none"}
    assert {bits: stored_precision(linear, (8, 8), Stored(bits)) for bits in wanted} == wanted
    assert stored_precision(head, (8, 8), Stored(2.5)) == "int8"
    assert stored_precision(norm, (8,), Stored(8.5)) == "none"

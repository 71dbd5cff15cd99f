"""The format openvino: what OpenVINO's own tools expect of the files, what fuses, what is stored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.bundle import Bundle
from edgekit_exporters.architecture import read_model
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.export import export
from edgekit_exporters.formats._openvino_weights import best_block
from edgekit_exporters.formats.openvino import FORMAT
from edgekit_exporters.reference import Reference

CASES = ("gemma3", *(pytest.param(name, marks=pytest.mark.slow) for name in ("llama_gqa", "phi3", "gemma2", "gpt2")))
MODES = ("int4", *(pytest.param(name, marks=pytest.mark.slow) for name in ("none", "int8")))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


def write(source: Path, folder: Path, quantization: str = "none") -> Path:
    return export(source, to="openvino", quantize=quantization, output=folder / f"{quantization}.edge")


def read(bundle: Path) -> Any:
    return openvino.Core().read_model(str(bundle / "openvino" / "openvino_model.xml"))


def kinds(model: Any, **settings: str) -> Counter[str]:
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    return Counter(str(node.get_rt_info()["layerType"].value) for node in compiled.get_runtime_model().get_ops())


def test_inputs_outputs_and_variables_are_those_of_optimum_intel(tmp_path: Path) -> None:
    model = read(write(write_tiny_checkpoint(tmp_path / "checkpoint"), tmp_path))
    inputs = {node.get_any_name(): str(node.get_partial_shape()) for node in model.inputs}
    two = dict.fromkeys(("input_ids", "attention_mask", "position_ids"), "[?,?]")
    assert inputs == {**two, "beam_idx": "[?]"}
    assert [node.get_any_name() for node in model.outputs] == ["logits"]
    names = {variable.info.variable_id for variable in model.get_variables()}
    parts = ("key", "value")
    assert names == {f"past_key_values.{i}.{part}present.{i}.{part}" for i in range(2) for part in parts}


@pytest.mark.parametrize("case", CASES)
def test_the_file_alone_computes_the_model_with_padding_and_in_pieces(case: str, shared: Path, tmp_path: Path) -> None:
    """As another program would drive it: two sequences, the shorter one padded on its left."""
    source = shared / "golden" / "decoders" / case
    model = read(write(source, tmp_path))
    exact = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    request = openvino.Core().compile_model(model, "CPU", exact).create_infer_request()
    with np.load(source / "golden.npz") as golden:
        long, short = golden["ids_2"][:30], golden["ids_1"]
    mask = np.ones((2, 30), np.int64)
    mask[1, : 30 - len(short)] = 0
    ids = np.stack([long, np.concatenate([np.zeros(30 - len(short), np.int64), short])])
    positions = np.maximum(mask.cumsum(1) - 1, 0)
    parts = []
    for start, stop in ((0, 21), (21, 30)):
        feeds = {
            "input_ids": ids[:, start:stop],
            "attention_mask": mask[:, :stop],
            "position_ids": positions[:, start:stop],
            "beam_idx": np.arange(2, dtype=np.int32),
        }
        parts.append(request.infer(feeds)["logits"].copy())
    found = np.concatenate(parts, axis=1)
    with open_checkpoint(source) as checkpoint:
        described = read_model(checkpoint)
        reference = Reference(described.spec, described.weights)
        for row, tokens in ((0, long), (1, short)):
            expected = reference.logits(tokens)
            assert np.abs(found[row, -len(tokens) :] - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("quantization", MODES)
def test_attention_rotary_norms_and_decompression_fuse(quantization: str, shared: Path, tmp_path: Path) -> None:
    bundle = write(shared / "golden" / "decoders" / "llama_gqa", tmp_path, quantization)
    layers = len(Bundle.open(bundle).manifest.spec.layers)
    found = kinds(read(bundle))
    assert found["ScaledDotProductAttention"] == layers
    assert found["RoPE"] == 2 * layers
    assert found["RMS"] == 2 * layers + 1
    assert not found["Softmax"]
    from openvino._offline_transformations import paged_attention_transformation

    model = read(bundle)
    paged_attention_transformation(model)
    found = kinds(model)
    assert found["PagedAttention"] == layers
    assert found["RoPE"] == 2 * layers
    assert not found["Softmax"]
    assert not found["Concatenation"]


@pytest.mark.parametrize("quantization", MODES)
def test_the_engine_multiplies_by_what_is_read_back(quantization: str, shared: Path, tmp_path: Path) -> None:
    """The constants of the file, decompressed by the engine itself, are the weights that `read_weights` gives."""
    bundle = write(shared / "golden" / "decoders" / "smollm_like", tmp_path, quantization)
    weights = FORMAT.read_weights(bundle)
    model = read(bundle)
    checked = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MatMul":
            source = node.input(1).get_source_output()
            result = openvino.Model([source], [], "weight")
            exact = {"INFERENCE_PRECISION_HINT": "f32"}
            value = openvino.Core().compile_model(result, "CPU", exact)([])[0]
            name = _constant(source.get_node())
            expected = np.concatenate([weights[part].all() for part in name.split("+")])
            # The engine's Multiply of f16 scales rounds its products to f16.
            np.testing.assert_allclose(value, expected, rtol=1e-3 if quantization != "none" else 0, atol=1e-6)
            checked += 1
    assert checked >= 4 * len(Bundle.open(bundle).manifest.spec.layers) + 1


def _constant(node: Any) -> str:
    while node.get_type_name() != "Constant":
        node = node.input(0).get_source_output().get_node()
    return str(node.get_friendly_name())


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    bundle = write(write_tiny_checkpoint(tmp_path / "checkpoint"), tmp_path)
    spec = Bundle.open(bundle).manifest.spec
    weights = sum(4 * int(np.prod(rows.shape)) for rows in FORMAT.read_weights(bundle).values())
    tables = 2 * 4 * spec.context * spec.layers[0].head_dim
    assert spec.tied
    assert (bundle / "openvino" / "openvino_model.bin").stat().st_size <= weights + tables + 30 * 4096


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_tiny_checkpoint(tmp_path / "checkpoint")
    for name in ("a", "b"):
        export(source, to="openvino", quantize="int4", output=tmp_path / name)
    for file in ("openvino_model.xml", "openvino_model.bin"):
        assert (tmp_path / "a" / "openvino" / file).read_bytes() == (tmp_path / "b" / "openvino" / file).read_bytes()


def test_the_block_divides_the_row_into_an_even_number() -> None:
    sizes = {576: 32, 3072: 32, 96: 16, 32: 16, 64: 32, 48: None, 33: None, 66: None, 8: None}
    assert {columns: best_block(columns) for columns in sizes} == sizes

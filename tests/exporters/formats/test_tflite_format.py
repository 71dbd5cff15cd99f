from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.errors import BundleError, MissingExtraError
from edgekit.progress import Silent
from edgekit_exporters.architecture import Model, read_model
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.format import WriteOptions, find_format
from edgekit_exporters.formats import tflite
from edgekit_exporters.formats._tflite_weights import BLOCKWISE, PER_ROW
from edgekit_exporters.quantization import Quantization, decode, encode
from edgekit_exporters.stream import fill
from edgekit_exporters.weights import Weights


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    with open_checkpoint(str(write_tiny_checkpoint(tmp_path / "checkpoint"))) as checkpoint:
        yield read_model(checkpoint)


def write(model: Model, folder: Path, quantization: Quantization = "none", context: int = 512) -> Weights:
    folder.mkdir()
    writing = tflite.FORMAT.begin(model, folder, WriteOptions(quantization=quantization, context=context))
    fill(model.weights, writing.slots, Silent())
    written = writing.finish()
    assert written.files == (tflite.FILE,)
    assert written.context_max == context
    return tflite.FORMAT.read_weights(folder)


def parsed(folder: Path) -> schema.Model:
    return schema.Model.GetRootAs(bytearray((folder / tflite.FILE).read_bytes()), 0)


def tensor_names(graph: schema.SubGraph) -> set[str]:
    return {graph.Tensors(k).Name().decode() for k in range(graph.TensorsLength())}


@pytest.mark.parametrize(
    ("context", "names"),
    [
        (8, ["decode"]),
        (64, ["decode", "chunk_16"]),
        (256, ["decode", "chunk_16", "prefill_128"]),
        (
            4096,
            [
                *("span256_decode", "span256_chunk_16", "span256_prefill_128", "span512_decode", "span1024_decode"),
                *("span1024_chunk_16", "span1024_prefill_128", "decode", "chunk_16", "prefill_128"),
            ],
        ),
    ],
)
def test_signatures(context: int, names: list[str]) -> None:
    assert [signature.name for signature in tflite.signatures(context)] == names


def test_float_weights_come_back_as_they_were(model: Model, tmp_path: Path) -> None:
    weights = write(model, tmp_path / "out")
    assert set(weights) == set(model.weights)
    for name, rows in model.weights.items():
        np.testing.assert_array_equal(weights[name].all(), rows.all())


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_quantized_weights_come_back_as_they_were_rounded(
    model: Model, tmp_path: Path, quantization: Quantization
) -> None:
    weights = write(model, tmp_path / "out", quantization)
    for name, rows in model.weights.items():
        values = rows.all()
        if values.ndim == 2:
            # Rows of 48 do not fill blocks of 32: they stay at 8 bits, as the embedding does.
            fills = values.shape[1] % 32 == 0 and name != "embed.weight"
            encoding = BLOCKWISE if quantization == "int4" and fills else PER_ROW
            values = decode(encode(values, encoding), values.shape[1])
        np.testing.assert_array_equal(weights[name].all(), values)
        np.testing.assert_array_equal(weights[name].read(1, 3), values[1:3])


def test_what_the_engine_wants_of_scales(model: Model) -> None:
    rows = model.weights["layers.0.mlp.up.weight"].all()
    rows[0], rows[1] = 0, 1e-12
    scales = encode(rows, BLOCKWISE).scales
    assert scales is not None
    assert (scales > 0).all()
    np.testing.assert_array_equal(scales.astype(np.float16).astype(np.float32), scales)
    assert not (scales.view(np.uint32) & 0xFFFF).any(), "exact in bfloat16"


def test_weights_lie_once_behind_the_flatbuffer_for_all_signatures(model: Model, tmp_path: Path) -> None:
    write(model, tmp_path / "out")
    found = parsed(tmp_path / "out")
    buffers = [found.Buffers(k) for k in range(found.BuffersLength())]
    behind = sorted((b.Offset(), b.Size()) for b in buffers if b.Size())
    assert all(a + size <= b for (a, size), (b, _) in pairwise(behind))
    # The tied head is the embedding; rope has a table of 512 rows of 8.
    stored = sum(rows.all().nbytes for rows in model.weights.values()) + 512 * 8 * 4
    assert sum(size for _, size in behind) == stored
    assert sum(b.DataLength() for b in buffers) < 8192
    assert found.SubgraphsLength() == 6


def test_prefill_computes_no_head_and_keeps_nothing_for_it(model: Model, tmp_path: Path) -> None:
    write(model, tmp_path / "out")
    found = parsed(tmp_path / "out")
    graphs = {found.Subgraphs(k).Name().decode(): found.Subgraphs(k) for k in range(found.SubgraphsLength())}
    assert "norm.weight" in tensor_names(graphs["decode"])
    assert "norm.weight" not in tensor_names(graphs["prefill_128"])
    assert "layers.1.mlp.down.weight" not in tensor_names(graphs["prefill_128"])
    assert graphs["prefill_128"].OutputsLength() == 4


def test_the_names_that_other_engines_look_for(model: Model, tmp_path: Path) -> None:
    write(model, tmp_path / "out")
    found = parsed(tmp_path / "out")
    for k in range(found.SignatureDefsLength()):
        signature = found.SignatureDefs(k)
        inputs = {signature.Inputs(i).Name().decode() for i in range(signature.InputsLength())}
        caches = {f"kv_cache_{part}_{i}" for part in "kv" for i in range(2)}
        assert inputs == {"tokens", "input_pos", "mask"} | caches


def test_the_last_layers_cache_is_the_longest(model: Model, tmp_path: Path) -> None:
    write(model, tmp_path / "out")
    graph = parsed(tmp_path / "out").Subgraphs(0)
    tensors = [graph.Tensors(graph.Inputs(k)) for k in range(graph.InputsLength())]
    sizes = {tensor.Name().decode().rpartition("/")[2]: tensor.ShapeAsNumpy().tolist() for tensor in tensors}
    assert graph.Name() == b"span256_decode"
    lengths = {name: shape[0] // 16 for name, shape in sizes.items() if name.startswith("kv_cache_")}
    assert lengths == {"kv_cache_k_0": 256, "kv_cache_v_0": 256, "kv_cache_k_1": 512, "kv_cache_v_1": 512}


def test_a_file_that_ends_within_its_weights(model: Model, tmp_path: Path) -> None:
    weights = write(model, tmp_path / "out")
    path = tmp_path / "out" / tflite.FILE
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(BundleError, match="ends within its weights"):
        [rows.all() for rows in weights.values()]


def test_what_writing_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("edgekit_exporters.formats.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingExtraError) as caught:
        find_format("tflite")
    assert "edgekit-sdk[tflite]" in caught.value.hint

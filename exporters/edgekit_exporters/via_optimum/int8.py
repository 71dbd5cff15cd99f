"""Quantizes a traced ONNX graph to int8 as our own format does (`formats/_onnx_encoder.py`).

Products of tokens with a weight become products of whole numbers: the weight has a scale for each of its outputs, each
token a scale of its own, so that no text depends on those beside it. What is computed once for a text (a `Gemm`), and
the product that gives the labels, stay float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edgekit.errors import UnsupportedError
from edgekit_exporters.quantization import Encoding, encode
from edgekit_exporters.via_optimum.graph import IDS, drop_unused
from edgekit_exporters.weights import Float32

LINEAR = Encoding(8, narrow=True)
EMBEDDING = Encoding(8)
MICROSOFT = "com.microsoft"


def quantize_graph(model: onnx.ModelProto, architecture: str) -> dict[str, str]:
    """Quantize a graph of opset 18 in place, and return what was applied to each kind of weight.

    Raises:
        UnsupportedError: it has no product that could be quantized.
    """
    graph = model.graph
    quantizer = _Quantizer(graph)
    nodes = [made for node in graph.node for made in quantizer.replaced(node)]
    if not quantizer.products:
        raise UnsupportedError(
            f"the graph that optimum makes of {architecture} has no product of tokens with a weight",
            "take --quantize none",
        )
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in quantizer.made.items())
    drop_unused(graph)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    words = {"linear": str(LINEAR), "embed": str(EMBEDDING)} if quantizer.embeddings else {"linear": str(LINEAR)}
    return {**words, "rest": str(Encoding())}


class _Quantizer:
    """Replaces nodes one by one."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._weights = {
            tensor.name: tensor
            for tensor in graph.initializer
            if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2
        }
        self._labels = _label_nodes(graph)
        self._rows: dict[str, tuple[str, str]] = {}
        self.made: dict[str, npt.NDArray[np.generic]] = {
            "edgekit/one": np.float32(1.0).reshape(()),
            "edgekit/zero": np.uint8(128).reshape(()),
            "edgekit/last": np.array([-1], np.int64),
            "edgekit/step": np.float32(1 / 127).reshape(()),
            "edgekit/least": np.float32(1e-20).reshape(()),
        }
        self.products = self.embeddings = 0

    def replaced(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Yield what stands in a node's place."""
        if node.op_type == "MatMul" and node.input[1] in self._weights and node.output[0] not in self._labels:
            self.products += 1
            yield from self._product(node)
        elif node.op_type == "Gather" and node.input[0] in self._weights and node.input[1] == IDS:
            self.embeddings += 1
            yield from self._embedding(node)
        else:
            yield node

    def _product(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        x, weight = node.input
        if x not in self._rows:
            yield from self._row_quantization(x)
        values, scale = self._rows[x]
        if f"{weight}/int8" not in self.made:
            encoded = encode(np.ascontiguousarray(self._array(weight).T), LINEAR)
            assert encoded.scales is not None
            self.made[f"{weight}/int8"] = np.ascontiguousarray(encoded.values.T)
            self.made[f"{weight}/scales"] = encoded.scales[:, 0]
        (out,) = node.output
        inputs = [values, f"{weight}/int8", "edgekit/one", f"{weight}/scales", "edgekit/zero"]
        yield helper.make_node("MatMulIntegerToFloat", inputs, [f"{out}/product"], domain=MICROSOFT)
        yield helper.make_node("Mul", [f"{out}/product", scale], [out])

    def _row_quantization(self, x: str) -> Iterator[onnx.NodeProto]:
        """Make x [..., n, width] uint8 around 128, and the scale of each row [..., n, 1]."""
        scale, values = f"{x}/scale", f"{x}/uint8"
        self._rows[x] = values, scale
        yield helper.make_node("Abs", [x], [f"{x}/size"])
        yield helper.make_node("ReduceMax", [f"{x}/size", "edgekit/last"], [f"{x}/largest"], keepdims=1)
        yield helper.make_node("Mul", [f"{x}/largest", "edgekit/step"], [f"{x}/part"])
        yield helper.make_node("Max", [f"{x}/part", "edgekit/least"], [scale])
        yield helper.make_node("Div", [x, scale], [f"{x}/scaled"])
        yield helper.make_node("QuantizeLinear", [f"{x}/scaled", "edgekit/one", "edgekit/zero"], [values])

    def _embedding(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        table, ids = node.input
        if f"{table}/rows" not in self.made:
            encoded = encode(self._array(table), EMBEDDING)
            assert encoded.scales is not None
            self.made[f"{table}/rows"], self.made[f"{table}/row_scales"] = encoded.values, encoded.scales
        (out,) = node.output
        yield helper.make_node("Gather", [f"{table}/rows", ids], [f"{out}/int8"])
        yield helper.make_node("Gather", [f"{table}/row_scales", ids], [f"{out}/scales"])
        yield helper.make_node("Cast", [f"{out}/int8"], [f"{out}/float"], to=onnx.TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{out}/float", f"{out}/scales"], [out])

    def _array(self, name: str) -> Float32:
        out: Float32 = numpy_helper.to_array(self._weights[name])
        return out


def _label_nodes(graph: onnx.GraphProto) -> set[str]:
    """Return the values that a classifier ends with: its output, and what a bias was added to for it."""
    if graph.output[0].name != "logits":
        return set()
    makers = {name: node for node in graph.node for name in node.output}
    found, name = {"logits"}, "logits"
    while name in makers and makers[name].op_type in ("Add", "Identity"):
        inner = [other for other in makers[name].input if other in makers]
        if len(inner) != 1:
            break
        (name,) = inner
        found.add(name)
    return found

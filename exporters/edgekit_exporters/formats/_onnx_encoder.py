"""Encoders in ONNX: whole texts at once, no cache, any length.

Attention is MultiHeadAttention (docs/ContribOperators.md of ONNX Runtime): keys that are padding are masked, and what
distances hide or add (windows, MPNet) comes as a bias of the scores, made once for all layers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from onnx import TensorProto

from edgekit.errors import UnsupportedError
from edgekit.spec import Activation, Attention, Norm, Rope
from edgekit_exporters.architecture import EncoderModel
from edgekit_exporters.encoder import HIDDEN
from edgekit_exporters.format import WriteOptions, Written
from edgekit_exporters.formats._onnx_graph import DATA_FILE
from edgekit_exporters.formats._onnx_nodes import FOLDER, OnnxNodes, Value
from edgekit_exporters.operations import Projection
from edgekit_exporters.packed import write_index
from edgekit_exporters.quantization import Encoding

HIDDEN_OUTPUT = "last_hidden_state"
HIDES = -10000.0
"""What is added to scores that nothing may see; MultiHeadAttention masks padding with the same."""

INT8 = Encoding(8, narrow=True)


class OnnxEncoderWriting(OnnxNodes):
    """`EncoderOperations` that record nodes."""

    def __init__(self, model: EncoderModel, bundle: Path, options: WriteOptions) -> None:
        super().__init__(model.weights, bundle, options)
        self._shared: dict[str, str] = {}
        self._ropes: dict[Rope, tuple[str, str]] = {}
        self._rows: dict[str, tuple[str, str]] = {}
        self._biases: dict[tuple[int | None, str], str] = {}
        self._output: list[int | str] = ["batch", *(["n"] if model.task != "classify" else [])]
        self.graph.input("input_ids", TensorProto.INT64, ["batch", "n"])
        self.graph.input("attention_mask", TensorProto.INT64, ["batch", "n"])

    def positions(self, table: str) -> Value:
        """Gather the first n rows."""
        return Value(self._gather(table, self._positions()), self.weights[table].shape[1])

    def linear(self, x: Value, *projections: Projection) -> tuple[Value, ...]:
        """One product over the stacked rows of all projections; whoever uses it adds the bias.

        At 8 bits each row of x gets a scale of its own, so that no text depends on those beside it, and the product
        is one of whole numbers: on CPUs with instructions for that, three times as fast as one of floats.
        """
        encoding = self._encoding(projections[0].weight)
        rows = tuple(self.weights[p.weight].shape[0] for p in projections)
        name = "+".join(p.weight for p in projections)
        bias = self._bias(name, projections, rows)
        if encoding.quantized:
            product = self._integer_product(x, name, projections, rows)
        else:
            weight = self._float(name, projections, rows, x.width)
            product = self.graph.one("FusedMatMul", self._use(x), weight, microsoft=True, transB=1)
        if len(rows) == 1:
            return (Value(product, rows[0], bias=bias),)
        return tuple(Value(f"{product}/{k}", width, (product, rows, k), bias) for k, width in enumerate(rows))

    def add_norm(self, a: Value, b: Value, norm: Norm, weight: str, bias: str | None = None) -> tuple[Value, Value]:
        """Two nodes: as one, SkipLayerNormalization takes six times as long (ONNX Runtime 1.32).

        Sum, since the engine would make that one node of an Add and a norm.
        """
        total = Value(self.graph.one("Sum", self._use(a), self._use(b)), a.width)
        return total, self.norm(total, norm, weight, bias)

    def activation(self, x: Value, kind: Activation) -> Value:
        """One node; GELU takes a bias along."""
        if kind in ("gelu", "gelu_tanh") and x.bias is not None and x.fused is None:
            name = "BiasGelu" if kind == "gelu" else "FastGelu"
            return Value(self.graph.one(name, x.name, x.bias, microsoft=True), x.width)
        return super().activation(x, kind)

    def relative_bias(self, table: str) -> Value:
        """Gather a row for each pair of positions: [1, heads, n, n]."""
        graph, (rows, heads) = self.graph, self.weights[table].shape
        index = graph.one("Add", self._distances(), graph.constant(rows // 2))
        gathered = self._gather(table, index)
        bias = graph.one("Unsqueeze", graph.one("Transpose", gathered, perm=[2, 0, 1]), graph.constant([0]))
        return Value(bias, heads)

    def attend_all(self, q: Value, k: Value, v: Value, attention: Attention, bias: Value | None = None) -> Value:
        """MultiHeadAttention; a rope turns q and k in front of it."""
        if attention.kv_heads != attention.heads or attention.softcap is not None or attention.qk_norm is not None:
            raise UnsupportedError("the onnx format has no shared heads, softcaps or head norms in encoders")
        packed_bias = ""
        if q.bias is not None and attention.rope is None and {x.fused and x.fused[0] for x in (q, k, v)} != {None}:
            # That of the fused product is in the order in which the attention adds it.
            packed_bias = q.bias
            q, k, v = (replace(x, bias=None) for x in (q, k, v))
        parts = [self._use(x) for x in (q, k, v)]
        if attention.rope is not None:
            tables = self._rope(attention.rope)
            parts[:2] = [
                self.graph.one("RotaryEmbedding", part, self.graph.constant([0]), *tables, microsoft=True)
                for part in parts[:2]
            ]
        out = self.graph.one(
            "MultiHeadAttention",
            *parts,
            packed_bias,
            self._mask(),
            *([name] if (name := self._score_bias(attention.window, bias)) else []),
            microsoft=True,
            num_heads=attention.heads,
            scale=attention.scale,
            mask_filter_value=HIDES,
        )
        return Value(out, attention.query_size)

    def pool(self, x: Value, kind: Literal["first", "mean"]) -> Value:
        """Gather the first row, or average those that are no padding."""
        graph, name = self.graph, self._use(x)
        if kind == "first":
            return Value(graph.one("Gather", name, graph.constant(0), axis=1), x.width)
        mask = graph.one("Cast", "attention_mask", to=TensorProto.FLOAT)
        weights = graph.one("Unsqueeze", mask, graph.constant([2]))
        total = graph.one("ReduceSum", graph.one("Mul", name, weights), graph.constant([1]), keepdims=0)
        count = graph.one("ReduceSum", weights, graph.constant([1]), keepdims=0)
        return Value(graph.one("Div", total, count), x.width)

    def output(self, name: str, x: Value) -> None:
        """Name it."""
        name = HIDDEN_OUTPUT if name == HIDDEN else name
        self.graph.node("Identity", [self._use(x)], [name])
        self.graph.output(name, TensorProto.FLOAT, [*self._output, x.width])

    def finish(self) -> Written:
        """Save the graph."""
        self.graph.save(write_index(self.placed))
        return Written(
            files=(f"{FOLDER}/model.onnx", f"{FOLDER}/{DATA_FILE}"),
            context_max=self.options.context,
            encodings={name: str(placed.encoding) for name, placed in self.placed.items()},
        )

    def _encoding(self, weight: str) -> Encoding:
        """Linear weights at 8 bits have one scale for each row: products of whole numbers know no blocks."""
        usual = super()._encoding(weight)
        return INT8 if usual.bits == 8 and weight != "embed.weight" else usual

    def _integer_product(self, x: Value, name: str, projections: tuple[Projection, ...], rows: tuple[int, ...]) -> str:
        graph, width = self.graph, x.width
        placed = self._reserve(projections, rows, width, INT8, signed=True)
        count = sum(rows)
        stored = graph.external(f"{name}/int8", TensorProto.INT8, [count, width], placed.values, count * width)
        scales = graph.external(f"{name}/scales", TensorProto.FLOAT, [count], placed.scales, 4 * count)
        values, largest = self._row_quantized(self._use(x))
        # Turned once, when the model is loaded: the operator takes [in, out].
        turned = graph.one("Transpose", stored, perm=[1, 0])
        step, zero = self._step()
        product = graph.one("MatMulIntegerToFloat", values, turned, step, scales, zero, microsoft=True)
        return graph.one("Mul", product, largest)

    def _row_quantized(self, name: str) -> tuple[str, str]:
        """Return x [batch, n, width] as uint8 around 128, in steps of each row's largest value [batch, n, 1] / 127.

        A row of zeros may become any bytes: what is made of them is multiplied with its largest value, which is 0.
        """
        if name not in self._rows:
            graph = self.graph
            largest = graph.one("ReduceMax", graph.one("Abs", name), graph.constant([-1]), keepdims=1)
            self._rows[name] = graph.one("QuantizeLinear", graph.one("Div", name, largest), *self._step()), largest
        return self._rows[name]

    def _step(self) -> tuple[str, str]:
        """Return the scale and the zero point of values between -1 and 1."""
        return self.graph.constant(1 / 127, np.float32), self.graph.constant(128, np.uint8)

    def _once(self, name: str, *node: str, **attributes: Any) -> str:  # noqa: ANN401 - as `Graph.one`
        """Record a node that all layers share."""
        if name not in self._shared:
            self._shared[name] = self.graph.one(*node, **attributes)
        return self._shared[name]

    def _positions(self) -> str:
        """Return 0 to n - 1."""
        graph = self.graph
        shape = self._once("n", "Shape", "input_ids", start=1, end=2)
        count = self._once("count", "Squeeze", shape)
        return self._once("positions", "Range", graph.constant(0), count, graph.constant(1))

    def _distances(self) -> str:
        """Return [n, n]: how far the seen token (column) is behind the one that sees it."""
        graph, positions = self.graph, self._positions()
        rows = self._once("rows", "Unsqueeze", positions, graph.constant([1]))
        return self._once("distances", "Sub", positions, rows)

    def _mask(self) -> str:
        return self._once("mask", "Cast", "attention_mask", to=TensorProto.INT32)

    def _score_bias(self, window: int | None, bias: Value | None) -> str | None:
        """Return what the scores get added [1, 1 or heads, n, n], None where that is nothing."""
        if window is None:
            return None if bias is None else bias.name
        key = (window, "" if bias is None else bias.name)
        if key not in self._biases:
            graph = self.graph
            far = graph.one("Less", graph.one("Abs", self._distances()), graph.constant(window))
            seen = graph.one("Where", far, graph.constant(0.0, np.float32), graph.constant(HIDES, np.float32))
            hidden = graph.one("Unsqueeze", seen, graph.constant([0, 1]))
            self._biases[key] = hidden if bias is None else graph.one("Add", bias.name, hidden)
        return self._biases[key]

    def _rope(self, rope: Rope) -> tuple[str, str]:
        if rope not in self._ropes:
            number = len(self._ropes)
            cos, sin = rope.tables(self.options.context)
            self._ropes[rope] = (
                self.graph.table(f"cos_{number}", cos),
                self.graph.table(f"sin_{number}", sin),
            )
        return self._ropes[rope]

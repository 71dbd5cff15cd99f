"""What decoders and encoders share in ONNX: nodes of ONNX Runtime's fused operators, and weights in one file.

Operator documentation: github.com/microsoft/onnxruntime, docs/ContribOperators.md (MatMulNBits, GatherBlockQuantized,
SkipSimplifiedLayerNormalization, QuickGelu, FusedMatMul).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto

from edgekit.spec import Activation, Norm
from edgekit_exporters.format import WriteOptions
from edgekit_exporters.formats._onnx_graph import Graph
from edgekit_exporters.operations import Projection, runs
from edgekit_exporters.packed import Placed
from edgekit_exporters.quantization import Encoding, Quantization
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Weights

FOLDER = "onnx"
ENCODINGS: dict[Quantization, Encoding] = {
    "none": Encoding(32),
    "int8": Encoding(8, block=32),
    "int4": Encoding(4, block=32, zero_point=True),
}


@dataclass(frozen=True)
class Value:
    """A value [batch, n, width]; a part of a fused product knows it, and is cut out only when it is used alone."""

    name: str
    width: int
    fused: tuple[str, tuple[int, ...], int] | None = None
    """The fused product's name, the widths of its parts, and which of them this is."""
    bias: str | None = None
    """What is still to be added to it, or to the whole fused product: the next node may take it along."""


class OnnxNodes:
    """The operations that record the same nodes whatever the model, and the places of weights."""

    def __init__(self, weights: Weights, bundle: Path, options: WriteOptions) -> None:
        self.bundle, self.weights, self.options = bundle, weights, options
        self.graph = Graph(bundle / FOLDER)
        self.slots: list[Slot] = []
        self.placed: dict[str, Placed] = {}
        self._cut: dict[str, list[str]] = {}

    # --- operations ---------------------------------------------------------------------------------------------

    def embed(self, table: str) -> Value:
        """Gather rows; quantized ones are dequantized as they are gathered."""
        return Value(self._gather(table, "input_ids"), self.weights[table].shape[1])

    def linear(self, x: Value, *projections: Projection) -> tuple[Value, ...]:
        """One product over the stacked rows of all projections; quantized weights through MatMulNBits."""
        groups = runs(projections, self._encoding)
        if len(groups) > 1:
            return tuple(value for group in groups for value in self.linear(x, *group))
        encoding, width = self._encoding(projections[0].weight), x.width
        rows = tuple(self.weights[p.weight].shape[0] for p in projections)
        name = "+".join(p.weight for p in projections)
        bias = self._bias(name, projections, rows)
        if encoding.quantized:
            inputs = [self._use(x), *self._quantized(name, projections, rows, width, encoding)]
            # Bias is the sixth input, behind zero points and group indices.
            inputs += [""] * (5 - len(inputs)) + [bias] if bias else []
            product = self.graph.one(
                "MatMulNBits",
                *inputs,
                microsoft=True,
                K=width,
                N=sum(rows),
                bits=encoding.bits,
                block_size=encoding.block,
                accuracy_level=4,
            )
        else:
            weight = self._float(name, projections, rows, width)
            product = self.graph.one("FusedMatMul", self._use(x), weight, microsoft=True, transB=1)
            product = self.graph.one("Add", product, bias) if bias else product
        if len(rows) == 1:
            return (Value(product, rows[0]),)
        return tuple(Value(f"{product}/{k}", width, (product, rows, k)) for k, width in enumerate(rows))

    def norm(self, x: Value, norm: Norm, weight: str, bias: str | None = None) -> Value:
        """One node."""
        kind = "SimplifiedLayerNormalization" if norm.kind == "rms" else "LayerNormalization"
        inputs = [self._use(x), self._vector(weight), *([self._vector(bias)] if bias else [])]
        return Value(self.graph.one(kind, *inputs, axis=-1, epsilon=norm.eps), x.width)

    def add(self, a: Value, b: Value) -> Value:
        """One node."""
        return Value(self.graph.one("Add", self._use(a), self._use(b)), a.width)

    def add_norm(self, a: Value, b: Value, norm: Norm, weight: str, bias: str | None = None) -> tuple[Value, Value]:
        """One node whose fourth output is the sum."""
        kind = "SkipSimplifiedLayerNormalization" if norm.kind == "rms" else "SkipLayerNormalization"
        inputs = [self._use(a), self._use(b), self._vector(weight), *([self._vector(bias)] if bias else [])]
        stem = f"residual_{len(self.placed)}_{weight.removesuffix('.weight')}"
        self.graph.node(kind, inputs, [f"{stem}/norm", "", "", f"{stem}/sum"], microsoft=True, epsilon=norm.eps)
        return Value(f"{stem}/sum", a.width), Value(f"{stem}/norm", a.width)

    def multiply(self, a: Value, b: Value | float) -> Value:
        """One node."""
        other = self._use(b) if isinstance(b, Value) else self.graph.constant(b, np.float32)
        return Value(self.graph.one("Mul", self._use(a), other), a.width)

    def activation(self, x: Value, kind: Activation) -> Value:
        """One node."""
        name = self._use(x)
        if kind == "silu":
            return Value(self.graph.one("QuickGelu", name, microsoft=True, alpha=1.0), x.width)
        if kind in ("relu", "tanh"):
            return Value(self.graph.one(kind.capitalize(), name), x.width)
        approximate = "tanh" if kind == "gelu_tanh" else "none"
        return Value(self.graph.one("Gelu", name, approximate=approximate), x.width)

    def softcap(self, x: Value, cap: float) -> Value:
        """Three nodes."""
        limit = self.graph.constant(cap, np.float32)
        inner = self.graph.one("Tanh", self.graph.one("Div", self._use(x), limit))
        return Value(self.graph.one("Mul", inner, limit), x.width)

    def abort(self) -> None:
        """Close the data file."""
        self.graph.data.close()

    # --- weights ------------------------------------------------------------------------------------------------

    def _encoding(self, weight: str) -> Encoding:
        return self.options.own(weight) or ENCODINGS[self.options.precision(weight, self.weights[weight].shape)]

    def _place(
        self,
        weight: str,
        encoding: Encoding,
        values: int,
        scales: int = 0,
        zero_points: int = 0,
        *,
        signed: bool = False,
    ) -> Placed:
        placed = Placed(self.weights[weight].shape, encoding, values, scales, zero_points, signed=signed)
        self.placed[weight] = placed
        self.slots.append(placed.slot(self.graph.data, weight))
        return placed

    def _vector(self, weight: str) -> str:
        if weight not in self.placed:
            size = self.weights[weight].shape[0]
            placed = self._place(weight, Encoding(32), self.graph.data.reserve(4 * size))
            self.graph.external(weight, TensorProto.FLOAT, [size], placed.values, 4 * size)
        return weight

    def _bias(self, name: str, projections: tuple[Projection, ...], rows: tuple[int, ...]) -> str | None:
        """Stack the biases, zeros where a projection has none."""
        if all(p.bias is None for p in projections):
            return None
        position = start = self.graph.data.reserve(4 * sum(rows))
        for projection, count in zip(projections, rows, strict=True):
            if projection.bias is not None:
                self._place(projection.bias, Encoding(32), position)
            position += 4 * count
        return self.graph.external(f"{name}/bias", TensorProto.FLOAT, [sum(rows)], start, 4 * sum(rows))

    def _float(self, name: str, projections: tuple[Projection, ...], rows: tuple[int, ...], width: int) -> str:
        """Stack float32 weights [out, in], or use the one that is there already (a tied head)."""
        size = 4 * sum(rows) * width
        if projections[0].weight not in self.placed:
            position = self.graph.data.reserve(size)
            for projection, count in zip(projections, rows, strict=True):
                self._place(projection.weight, Encoding(32), position)
                position += 4 * count * width
        start = self.placed[projections[0].weight].values
        return self.graph.external(f"{name}/linear", TensorProto.FLOAT, [sum(rows), width], start, size)

    def _quantized(
        self, name: str, projections: tuple[Projection, ...], rows: tuple[int, ...], width: int, encoding: Encoding
    ) -> list[str]:
        """Stack packed weights as MatMulNBits wants them: B [N, blocks, bytes], scales, zero points."""
        first = self._reserve(projections, rows, width, encoding)
        count, blocks, row_bytes = sum(rows), first.blocks, first.row_bytes
        graph, types = self.graph, (TensorProto.UINT8, TensorProto.FLOAT, TensorProto.UINT8)
        shapes = ([count, blocks, row_bytes // blocks], [count, blocks], [count * first.zero_point_bytes])
        names = [f"{name}/B", f"{name}/scales", f"{name}/zero_points"]
        positions = (first.values, first.scales, first.zero_points)
        sizes = (count * row_bytes, 4 * count * blocks, shapes[2][0])
        parts = list(zip(names, types, shapes, positions, sizes, strict=True))
        return [graph.external(*part) for part in (parts if encoding.zero_point else parts[:2])]

    def _reserve(
        self,
        projections: tuple[Projection, ...],
        rows: tuple[int, ...],
        width: int,
        encoding: Encoding,
        *,
        signed: bool = False,
    ) -> Placed:
        """Reserve room for stacked quantized weights and return the first; one that is placed already is used again."""
        if projections[0].weight not in self.placed:
            shape = Placed((sum(rows), width), encoding, 0)
            data = self.graph.data
            values = data.reserve(sum(rows) * shape.row_bytes)
            scales = data.reserve(sum(rows) * shape.blocks * 4)
            zero_points = data.reserve(sum(rows) * shape.zero_point_bytes) if encoding.zero_point else 0
            for projection, count in zip(projections, rows, strict=True):
                self._place(projection.weight, encoding, values, scales, zero_points, signed=signed)
                values += count * shape.row_bytes
                scales += count * shape.blocks * 4
                zero_points += count * shape.zero_point_bytes if encoding.zero_point else 0
        return self.placed[projections[0].weight]

    def _gather(self, table: str, ids: str) -> str:
        """Rows of a table by ids; a row that does not fill its blocks is stored longer and cut."""
        encoding, (count, width) = self._encoding(table), self.weights[table].shape
        if not encoding.quantized:
            weight = self._float(table, (Projection(table),), (count,), width)
            return self.graph.one("Gather", weight, ids, axis=0)
        placed = self._reserve((Projection(table),), (count,), width, encoding)
        row_bytes = placed.row_bytes
        rows = self.graph.external(
            f"{table}/rows", TensorProto.UINT8, [count, row_bytes], placed.values, count * row_bytes
        )
        size = 4 * count * placed.blocks
        scales = self.graph.external(
            f"{table}/row_scales", TensorProto.FLOAT, [count, placed.blocks], placed.scales, size
        )
        out = self.graph.one(
            "GatherBlockQuantized",
            rows,
            ids,
            scales,
            microsoft=True,
            bits=encoding.bits,
            block_size=encoding.block,
            gather_axis=0,
            quantize_axis=1,
        )
        if encoding.padded(width) == width:
            return out
        start, end, axis = (self.graph.constant([k]) for k in (0, width, 2))
        return self.graph.one("Slice", out, start, end, axis)

    def _use(self, x: Value) -> str:
        """Return a value's name; the parts of a fused product are cut apart when the first of them is used alone."""
        if x.fused is None:
            return x.name if x.bias is None else self.graph.one("Add", x.name, x.bias)
        product, widths, k = x.fused
        if product not in self._cut:
            names = [f"{product}/{part}" for part in range(len(widths))]
            whole = product if x.bias is None else self.graph.one("Add", product, x.bias)
            self.graph.node("Split", [whole, self.graph.constant(list(widths))], names, axis=-1)
            self._cut[product] = names
        return self._cut[product][k]

"""Weights in OpenVINO IR: compressed constants with the nodes that the engine takes for decompression.

The pattern is NNCF's: Constant, Convert, Subtract (zero points), Multiply (scales), Reshape where a row has several
blocks, Convert. The CPU plugin computes a MatMul or a Gather of it on the compressed values.
"""

from __future__ import annotations

from edgekit_exporters.format import WriteOptions
from edgekit_exporters.formats._openvino_graph import Graph, Port
from edgekit_exporters.operations import Projection
from edgekit_exporters.packed import Placed
from edgekit_exporters.quantization import Encoding
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Weights

FLOAT = Encoding(32)
ROWS = Encoding(8, zero_point=True)
BLOCKS = (32, 16)
"""In order of preference. OpenVINO 2026.4 computes wrong numbers without an error with blocks that are odd, and with
others above 32 that are no multiple of it (33, 40, 48, 60) when a single token is computed in f32."""


class WeightNodes:
    """Records weights into a graph and leaves slots for their values."""

    def __init__(self, graph: Graph, weights: Weights, options: WriteOptions) -> None:
        self.graph, self.shapes, self.options = graph, {n: w.shape for n, w in weights.items()}, options
        self.slots: list[Slot] = []
        self.placed: dict[str, Placed] = {}
        self._vectors: dict[str, Port] = {}
        self._matrices: dict[str, Port] = {}

    def encoding(self, weight: str) -> Encoding:
        """Return the encoding of a weight."""
        shape = self.shapes[weight]
        chosen = self.options.precision(weight, shape)
        if chosen == "none":
            return FLOAT
        own = self.options.own(weight)
        bits = 4 if own is None else own.bits
        block = best_block(shape[1]) if chosen == "int4" or own is not None else None
        return ROWS if block is None else Encoding(bits, block=block, zero_point=True)

    def vector(self, weight: str) -> Port:
        """Return a float32 vector."""
        if weight not in self._vectors:
            size = self.shapes[weight][0]
            placed = self._place(weight, FLOAT, self.graph.data.reserve(4 * size))
            self._vectors[weight] = self.graph.external("FP32", [size], placed.values, 4 * size, weight)
        return self._vectors[weight]

    def bias(self, projections: tuple[Projection, ...]) -> Port | None:
        """Return the stacked biases, zeros where a projection has none; None where none has."""
        if all(p.bias is None for p in projections):
            return None
        rows = [self.shapes[p.weight][0] for p in projections]
        start = position = self.graph.data.reserve(4 * sum(rows))
        for projection, count in zip(projections, rows, strict=True):
            if projection.bias is not None:
                self._place(projection.bias, FLOAT, position)
            position += 4 * count
        name = "+".join(p.bias for p in projections if p.bias is not None)
        return self.graph.external("FP32", [sum(rows)], start, 4 * sum(rows), name)

    def matrix(self, *weights: str) -> Port:
        """Return weights of one encoding stacked by rows, dequantized to float32 [rows, columns]; stored once."""
        name = "+".join(weights)
        if name not in self._matrices:
            encoding = self.encoding(weights[0])
            self._matrices[name] = self._quantized(weights, encoding) if encoding.quantized else self._float(weights)
        return self._matrices[name]

    def _float(self, weights: tuple[str, ...]) -> Port:
        rows, columns = [self.shapes[weight][0] for weight in weights], self.shapes[weights[0]][1]
        size = 4 * sum(rows) * columns
        start = position = self.graph.data.reserve(size)
        for weight, count in zip(weights, rows, strict=True):
            self._place(weight, FLOAT, position)
            position += 4 * count * columns
        return self.graph.external("FP32", [sum(rows), columns], start, size, "+".join(weights))

    def _quantized(self, weights: tuple[str, ...], encoding: Encoding) -> Port:
        graph, data, name = self.graph, self.graph.data, "+".join(weights)
        rows, columns = [self.shapes[weight][0] for weight in weights], self.shapes[weights[0]][1]
        count, shape = sum(rows), Placed((sum(rows), columns), encoding, 0)
        sizes = [count * shape.row_bytes, count * shape.blocks * 2, count * shape.zero_point_bytes]
        values, scales, zero_points = starts = [data.reserve(size) for size in sizes]
        for weight, part in zip(weights, rows, strict=True):
            self._place(weight, encoding, values, scales, zero_points)
            values += part * shape.row_bytes
            scales += part * shape.blocks * 2
            zero_points += part * shape.zero_point_bytes
        integer = "U4" if encoding.bits == 4 else "U8"
        whole = [count, columns] if encoding.block is None else [count, shape.blocks, encoding.block]
        each = [count, 1] if encoding.block is None else [count, shape.blocks, 1]
        x = graph.external(integer, whole, starts[0], sizes[0], name)
        x = graph.one("Convert", x, precision="FP16", destination_type="f16")
        zero = graph.external(integer, each, starts[2], sizes[2], f"{name}/zero_points")
        zero = graph.one("Convert", zero, precision="FP16", destination_type="f16")
        x = graph.one("Subtract", x, zero)
        x = graph.one("Multiply", x, graph.external("FP16", each, starts[1], sizes[1], f"{name}/scales"))
        if encoding.block is not None:
            x = graph.one("Reshape", x, graph.constant([count, columns]), special_zero=False)
        return graph.one("Convert", x, precision="FP32", destination_type="f32")

    def _place(self, weight: str, encoding: Encoding, values: int, scales: int = 0, zero_points: int = 0) -> Placed:
        placed = Placed(self.shapes[weight], encoding, values, scales, zero_points, scale_bits=16)
        self.placed[weight] = placed
        self.slots.append(placed.slot(self.graph.data, weight))
        return placed


def best_block(columns: int) -> int | None:
    """Return the number of elements that share a scale at 4 bits, None where none of `BLOCKS` fits a row.

    The number of blocks must be even, so that every row's zero points fill whole bytes.
    """
    return next((block for block in BLOCKS if columns % (2 * block) == 0), None)

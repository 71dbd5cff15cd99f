"""TFLite's operators as functions of values: shapes are derived here, options named, nothing-doing nodes left out.

Operator documentation: github.com/google-ai-edge/LiteRT, tflite/converter/schema; which of them XNNPACK takes, and how:
tflite/delegates/xnnpack/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekit.spec import Activation, Norm
from edgekit_exporters.formats._tflite_graph import FLOAT32, INT32, VERSIONS, External, Subgraph, Value


class Nodes:
    """Records operators into one subgraph."""

    def __init__(self, graph: Subgraph) -> None:
        self.graph = graph
        self._integers: set[int] = set()

    def fully_connected(self, x: Value, weight: External, bias: Value | None) -> Value:
        """Return x [n, in] · weightᵀ [out, in] + bias; quantized weights get activations quantized per row."""
        version = 1 if weight.dtype == FLOAT32 else VERSIONS["FULLY_CONNECTED"]
        options = schema.FullyConnectedOptionsT(asymmetricQuantizeInputs=weight.dtype != FLOAT32)
        shape = (x.shape[0], weight.shape[0])
        return self.graph.node(
            "FULLY_CONNECTED", [x, self.graph.external(weight), bias], shape, options, version=version
        )

    def lookup(self, table: External, ids: Value) -> Value:
        """Return rows of a table [rows, width] by int32 ids [n], dequantized."""
        version = 1 if table.dtype == FLOAT32 else VERSIONS["EMBEDDING_LOOKUP"]
        shape = (ids.shape[0], table.shape[1])
        return self.graph.node("EMBEDDING_LOOKUP", [ids, self.graph.external(table)], shape, version=version)

    def gather(self, table: Value, ids: Value) -> Value:
        """Return rows of a float table by int32 ids [n]."""
        return self.graph.node("GATHER", [table, ids], (ids.shape[0], *table.shape[1:]), schema.GatherOptionsT(axis=0))

    def add(self, a: Value, b: Value) -> Value:
        """Return a + b."""
        return self._binary("ADD", a, b, schema.AddOptionsT())

    def subtract(self, a: Value, b: Value) -> Value:
        """Return a - b."""
        return self._binary("SUB", a, b, schema.SubOptionsT())

    def multiply(self, a: Value, b: Value) -> Value:
        """Return a * b."""
        return self._binary("MUL", a, b, schema.MulOptionsT())

    def relu(self, x: Value) -> Value:
        """Return max(x, 0)."""
        return self.graph.node("RELU", [x], x.shape)

    def to_float(self, x: Value) -> Value:
        """Return int32 as float32."""
        options = schema.CastOptionsT(inDataType=INT32, outDataType=FLOAT32)
        return self.graph.node("CAST", [x], x.shape, options)

    def matmul(self, a: Value, b: Value, *, transpose: bool) -> Value:
        """Return a [..., m, k] · b [..., k, n], or · bᵀ of b [..., n, k]."""
        columns = b.shape[-2] if transpose else b.shape[-1]
        options = schema.BatchMatMulOptionsT(adjY=transpose)
        return self.graph.node("BATCH_MATMUL", [a, b], (*a.shape[:-1], columns), options)

    def sum(self, x: Value, axis: int) -> Value:
        """Return the sum over an axis, which is gone from the shape."""
        shape = [size for k, size in enumerate(x.shape) if k != axis]
        return self.graph.node("SUM", [x, self.graph.numbers(axis)], shape, schema.ReducerOptionsT(keepDims=False))

    def softmax(self, x: Value) -> Value:
        """Return the softmax over the last axis."""
        return self.graph.node("SOFTMAX", [x], x.shape, schema.SoftmaxOptionsT(beta=1.0))

    def softcap(self, x: Value, cap: float) -> Value:
        """Return cap * tanh(x / cap)."""
        inner = self.multiply(x, self.graph.number(1.0 / cap))
        return self.multiply(self.graph.node("TANH", [inner], x.shape), self.graph.number(cap))

    def activation(self, x: Value, kind: Activation) -> Value:
        """Return the activation of x."""
        if kind == "silu":
            return self.multiply(x, self.graph.node("LOGISTIC", [x], x.shape))
        if kind == "relu":
            return self.relu(x)
        if kind == "tanh":
            return self.graph.node("TANH", [x], x.shape)
        return self.graph.node("GELU", [x], x.shape, schema.GeluOptionsT(approximate=kind == "gelu_tanh"))

    def normalise(self, x: Value, norm: Norm) -> Value:
        """Return x over its root mean square along the last axis, centred before for a layer norm."""
        if norm.kind == "layer":
            x = self.subtract(x, self._mean(x))
        mean = self.add(self._mean(self.multiply(x, x)), self.graph.number(norm.eps))
        return self.multiply(x, self.graph.node("RSQRT", [mean], mean.shape))

    def update(self, cache: Value, new: Value, start: Value) -> Value:
        """Return a vector with `new` written at `start`, int32 [1]; in place where both are one buffer."""
        options = schema.DynamicUpdateSliceOptionsT()
        return self.graph.node("DYNAMIC_UPDATE_SLICE", [cache, new, start], cache.shape, options)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Return x in another shape."""
        if tuple(shape) == x.shape:
            return x
        assert math.prod(shape) == math.prod(x.shape)
        sizes = np.asarray(shape, np.int32)
        dtype = self._dtype(x)
        return self._typed("RESHAPE", [x, self.graph.constant(sizes)], shape, schema.ReshapeOptionsT(sizes), dtype)

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """Return x with its axes in another order; moving axes of size 1 is only a reshape."""
        shape = [x.shape[axis] for axis in order]
        if [axis for axis in order if x.shape[axis] != 1] == [a for a in range(len(order)) if x.shape[a] != 1]:
            return self.reshape(x, shape)
        return self.graph.node("TRANSPOSE", [x, self.graph.numbers(*order)], shape, schema.TransposeOptionsT())

    def part(self, x: Value, axis: int, start: int, size: int) -> Value:
        """Return `size` elements along an axis from `start` on."""
        if size == x.shape[axis]:
            return x
        begin, shape = [0] * len(x.shape), list(x.shape)
        begin[axis], shape[axis] = start, size
        inputs = [x, self.graph.numbers(*begin), self.graph.numbers(*shape)]
        return self._typed("SLICE", inputs, shape, schema.SliceOptionsT(), self._dtype(x))

    def columns(self, x: Value, start: int, size: int) -> Value:
        """Return columns of x [n, width]."""
        return self.part(x, 1, start, size)

    def join(self, parts: Sequence[Value], axis: int) -> Value:
        """Return values side by side along an axis."""
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.graph.node("CONCATENATION", parts, shape, schema.ConcatenationOptionsT(axis=axis))

    def _mean(self, x: Value) -> Value:
        axis = self.graph.numbers(len(x.shape) - 1)
        return self.graph.node("MEAN", [x, axis], (*x.shape[:-1], 1), schema.ReducerOptionsT(keepDims=True))

    def _binary(self, kind: str, a: Value, b: Value, options: object) -> Value:
        shape = np.broadcast_shapes(a.shape, b.shape)
        return self._typed(kind, [a, b], shape, options, self._dtype(a))

    def _typed(self, kind: str, inputs: Sequence[Value], shape: Sequence[int], options: object, dtype: int) -> Value:
        return self.graph.node(kind, inputs, shape, options, dtype=dtype)

    def _dtype(self, x: Value) -> int:
        return self.graph.dtype(x)

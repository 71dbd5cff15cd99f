"""What decoders and encoders share in OpenVINO IR: one node or a few for each operation.

Operations: docs.openvino.ai, "Operation sets".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.spec import Activation, Norm
from edgekit_exporters.format import WriteOptions
from edgekit_exporters.formats._openvino_attention import norm_nodes
from edgekit_exporters.formats._openvino_graph import Graph, Port
from edgekit_exporters.formats._openvino_weights import WeightNodes
from edgekit_exporters.operations import Projection, runs
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Weights

FOLDER = "openvino"


@dataclass(frozen=True)
class Value:
    """A value [batch, n, width]."""

    port: Port
    width: int


class OpenvinoNodes:
    """The operations that record the same nodes whatever the model."""

    def __init__(self, weights: Weights, folder: Path, options: WriteOptions) -> None:
        self.options = options
        self.graph = Graph(folder)
        self.weights = WeightNodes(self.graph, weights, options)
        self.inputs: dict[str, Port] = {}

    @property
    def slots(self) -> list[Slot]:
        """The weights to be filled in."""
        return self.weights.slots

    def embed(self, table: str) -> Value:
        """Gather rows."""
        return self._gather(table, "input_ids")

    def linear(self, x: Value, *projections: Projection) -> tuple[Value, ...]:
        """One product over the stacked rows of all projections."""
        groups = runs(projections, self.weights.encoding)
        if len(groups) > 1:
            return tuple(value for group in groups for value in self.linear(x, *group))
        weight = self.weights.matrix(*(p.weight for p in projections))
        product = self.graph.one("MatMul", x.port, weight, transpose_a=False, transpose_b=True)
        bias = self.weights.bias(projections)
        if bias is not None:
            product = self.graph.one("Add", product, bias)
        rows = [self.weights.shapes[p.weight][0] for p in projections]
        if len(rows) == 1:
            return (Value(product, rows[0]),)
        inputs = (product, self.graph.constant(-1), self.graph.constant(rows))
        parts = self.graph.node("VariadicSplit", inputs, ["FP32"] * len(rows))
        return tuple(Value(part, width) for part, width in zip(parts, rows, strict=True))

    def norm(self, x: Value, norm: Norm, weight: str, bias: str | None = None) -> Value:
        """The pieces that are fused into one node."""
        vectors = self.weights.vector(weight), None if bias is None else self.weights.vector(bias)
        return Value(norm_nodes(self.graph, x.port, norm, *vectors), x.width)

    def add(self, a: Value, b: Value) -> Value:
        """One node."""
        return Value(self.graph.one("Add", a.port, b.port), a.width)

    def add_norm(self, a: Value, b: Value, norm: Norm, weight: str, bias: str | None = None) -> tuple[Value, Value]:
        """Two: there is no fused form."""
        total = self.add(a, b)
        return total, self.norm(total, norm, weight, bias)

    def multiply(self, a: Value, b: Value | float) -> Value:
        """One node."""
        other = b.port if isinstance(b, Value) else self.graph.constant(b, np.float32)
        return Value(self.graph.one("Multiply", a.port, other), a.width)

    def activation(self, x: Value, kind: Activation) -> Value:
        """One node."""
        if kind == "silu":
            return Value(self.graph.one("Swish", x.port, opset=4), x.width)
        if kind in ("relu", "tanh"):
            return Value(self.graph.one("ReLU" if kind == "relu" else "Tanh", x.port), x.width)
        mode = "tanh" if kind == "gelu_tanh" else "erf"
        return Value(self.graph.one("Gelu", x.port, opset=7, approximation_mode=mode), x.width)

    def softcap(self, x: Value, cap: float) -> Value:
        """Three nodes."""
        inner = self.graph.one("Multiply", x.port, self.graph.constant(1 / cap, np.float32))
        return Value(
            self.graph.one("Multiply", self.graph.one("Tanh", inner), self.graph.constant(cap, np.float32)), x.width
        )

    def output(self, name: str, x: Value) -> None:
        """Name it."""
        named = self.graph.one("Convert", x.port, precision="FP32", destination_type="f32", tensor=name)
        self.graph.node("Result", [named], [], name=name)

    def abort(self) -> None:
        """Close the data file."""
        self.graph.data.close()

    def _gather(self, table: str, ids: str) -> Value:
        weight = self.weights.matrix(table)
        ids32 = self.graph.one("Convert", self.inputs[ids], precision="I32", destination_type="i32")
        rows = self.graph.one("Gather", weight, ids32, self.graph.constant(0), opset=8, batch_dims=0)
        return Value(rows, self.weights.shapes[table][1])

"""The OpenVINO IR format: XML and weights written here, in the stateful form that optimum-intel writes.

Inputs and outputs are those that OpenVINO GenAI expects: input_ids, attention_mask, position_ids, beam_idx, logits
[batch, n, vocab]. Where the runtime may gather the wanted rows is noted in the model's rt_info, so that the file itself
stays what other tools know. Operations: docs.openvino.ai, "Operation sets".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from edgekit.spec import Activation, Attention, Norm
from edgekit_exporters.architecture import Model
from edgekit_exporters.decoder import decode
from edgekit_exporters.format import WriteOptions, Written
from edgekit_exporters.formats._openvino_attention import AttentionNodes, norm_nodes
from edgekit_exporters.formats._openvino_graph import DATA_FILE, XML_FILE, Graph, Port, read_index_text
from edgekit_exporters.formats._openvino_weights import WeightNodes
from edgekit_exporters.operations import Projection
from edgekit_exporters.packed import read_index, write_index
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Weights

FOLDER = "openvino"


@dataclass(frozen=True)
class Value:
    """A value [batch, n, width]."""

    port: Port
    width: int


class OpenvinoFormat:
    """The format, for the exporter."""

    name = "openvino"

    def begin(self, model: Model, bundle: Path, options: WriteOptions) -> OpenvinoWriting:
        """Record the graph."""
        folder = bundle / FOLDER
        folder.mkdir()
        writing = OpenvinoWriting(model, folder, options)
        try:
            decode(writing, model.spec, model.weights)
        except BaseException:
            writing.abort()
            raise
        return writing

    def read_weights(self, bundle: Path) -> Weights:
        """Return the weights that were written, by the index in the model's rt_info."""
        folder = bundle / FOLDER
        return read_index(read_index_text(folder), folder / DATA_FILE)


FORMAT = OpenvinoFormat()


class OpenvinoWriting:
    """`Operations` that record nodes."""

    def __init__(self, model: Model, folder: Path, options: WriteOptions) -> None:
        self.spec, self.options = model.spec, options
        self.graph = graph = Graph(folder)
        self.weights = WeightNodes(graph, model, options)
        self.inputs = {
            name: graph.parameter(name, "I64", "?,?") for name in ("input_ids", "attention_mask", "position_ids")
        }
        self.inputs["beam_idx"] = graph.parameter("beam_idx", "I32", "?")
        self.attention = AttentionNodes(graph, options.context, self.inputs)

    @property
    def slots(self) -> list[Slot]:
        """The weights to be filled in."""
        return self.weights.slots

    # --- operations ---------------------------------------------------------------------------------------------

    def embed(self, table: str) -> Value:
        """Gather rows."""
        return self._gather(table, "input_ids")

    def positions(self, table: str) -> Value:
        """Gather the rows of the positions."""
        return self._gather(table, "position_ids")

    def linear(self, x: Value, *projections: Projection) -> tuple[Value, ...]:
        """One product over the stacked rows of all projections."""
        runs = [tuple(run) for _, run in groupby(projections, lambda p: self.weights.encoding(p.weight))]
        if len(runs) > 1:
            return tuple(value for run in runs for value in self.linear(x, *run))
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
        if kind == "relu":
            return Value(self.graph.one("ReLU", x.port), x.width)
        mode = "tanh" if kind == "gelu_tanh" else "erf"
        return Value(self.graph.one("Gelu", x.port, opset=7, approximation_mode=mode), x.width)

    def softcap(self, x: Value, cap: float) -> Value:
        """Three nodes."""
        inner = self.graph.one("Multiply", x.port, self.graph.constant(1 / cap, np.float32))
        return Value(
            self.graph.one("Multiply", self.graph.one("Tanh", inner), self.graph.constant(cap, np.float32)), x.width
        )

    def attend(
        self,
        q: Value,
        k: Value,
        v: Value,
        attention: Attention,
        layer: int,
        q_norm: str | None = None,
        k_norm: str | None = None,
    ) -> Value:
        """Attention over the layer's state."""
        norms = None
        if q_norm is not None and k_norm is not None:
            norms = self.weights.vector(q_norm), self.weights.vector(k_norm)
        return Value(self.attention.attend(q.port, k.port, v.port, attention, layer, norms), attention.query_size)

    def select(self, x: Value) -> Value:
        """Note where the runtime may gather rows; the file computes all of them."""
        self.graph.mark(x.port)
        return x

    def output(self, name: str, x: Value) -> None:
        """Name it."""
        named = self.graph.one("Convert", x.port, precision="FP32", destination_type="f32", tensor=name)
        self.graph.node("Result", [named], [], name=name)

    # --- the writing --------------------------------------------------------------------------------------------

    def finish(self) -> Written:
        """Save the graph."""
        self.graph.save(
            write_index(self.weights.placed), {"quantization": self.options.quantization, "rows": self.graph.marked()}
        )
        return Written(
            files=(f"{FOLDER}/{XML_FILE}", f"{FOLDER}/{DATA_FILE}"),
            context_max=self.options.context,
            encodings={name: str(placed.encoding) for name, placed in self.weights.placed.items()},
            # The engine's paged attention has no cap on scores: such a model runs as it is written.
            details={"form": "stateful" if any(layer.softcap for layer in self.spec.layers) else "paged"},
        )

    def abort(self) -> None:
        """Close the data file."""
        self.graph.data.close()

    def _gather(self, table: str, ids: str) -> Value:
        weight = self.weights.matrix(table)
        ids32 = self.graph.one("Convert", self.inputs[ids], precision="I32", destination_type="i32")
        rows = self.graph.one("Gather", weight, ids32, self.graph.constant(0), opset=8, batch_dims=0)
        return Value(rows, self.weights.shapes[table][1])

"""Encoders in OpenVINO IR: whole texts at once, no state, any length."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.errors import UnsupportedError
from edgekit.spec import Attention
from edgekit_exporters.architecture import EncoderModel
from edgekit_exporters.encoder import HIDDEN as HIDDEN_STATES
from edgekit_exporters.format import WriteOptions, Written
from edgekit_exporters.formats._openvino_attention import HIDDEN, AttentionNodes
from edgekit_exporters.formats._openvino_graph import DATA_FILE, XML_FILE, Graph, Port
from edgekit_exporters.formats._openvino_nodes import FOLDER, OpenvinoNodes, Value
from edgekit_exporters.packed import write_index

HIDDEN_OUTPUT = "last_hidden_state"


class OpenvinoEncoderWriting(OpenvinoNodes):
    """`EncoderOperations` that record nodes."""

    def __init__(self, model: EncoderModel, folder: Path, options: WriteOptions) -> None:
        super().__init__(model.weights, folder, options)
        self.inputs = {name: self.graph.parameter(name, "I64", "?,?") for name in ("input_ids", "attention_mask")}
        self.attention = EncoderAttentionNodes(self.graph, options.context, self.inputs)

    def positions(self, table: str) -> Value:
        """Gather the first n rows."""
        return self._gather(table, "position_ids")

    def relative_bias(self, table: str) -> Value:
        """Gather a row for each pair of positions: [1, heads, n, n]."""
        graph, (rows, heads) = self.graph, self.weights.shapes[table]
        index = graph.one("Add", self.attention.distances(), graph.constant(rows // 2))
        weight = self.weights.matrix(table)
        gathered = graph.one("Gather", weight, index, graph.constant(0), opset=8, batch_dims=0)
        turned = graph.one("Transpose", gathered, graph.constant([2, 0, 1]))
        return Value(graph.one("Unsqueeze", turned, graph.constant(0)), heads)

    def attend_all(self, q: Value, k: Value, v: Value, attention: Attention, bias: Value | None = None) -> Value:
        """ScaledDotProductAttention over all tokens."""
        if attention.kv_heads != attention.heads or attention.softcap is not None or attention.qk_norm is not None:
            raise UnsupportedError("the openvino format has no shared heads, softcaps or head norms in encoders")
        added = None if bias is None else bias.port
        return Value(self.attention.attend_all(q.port, k.port, v.port, attention, added), attention.query_size)

    def pool(self, x: Value, kind: Literal["first", "mean"]) -> Value:
        """Gather the first row, or average those that are no padding."""
        graph, one = self.graph, self.graph.constant(1)
        if kind == "first":
            return Value(graph.one("Gather", x.port, graph.constant(0), one, opset=8, batch_dims=0), x.width)
        mask = graph.one("Convert", self.inputs["attention_mask"], precision="FP32", destination_type="f32")
        weights = graph.one("Unsqueeze", mask, graph.constant(2))
        total = graph.one("ReduceSum", graph.one("Multiply", x.port, weights), one, keep_dims=False)
        count = graph.one("ReduceSum", weights, one, keep_dims=False)
        return Value(graph.one("Divide", total, count), x.width)

    def output(self, name: str, x: Value) -> None:
        """Name it."""
        super().output(HIDDEN_OUTPUT if name == HIDDEN_STATES else name, x)

    def finish(self) -> Written:
        """Save the graph."""
        self.graph.save(write_index(self.weights.placed), {"quantization": self.options.quantization})
        return Written(
            files=(f"{FOLDER}/{XML_FILE}", f"{FOLDER}/{DATA_FILE}"),
            context_max=self.options.context,
            encodings={name: str(placed.encoding) for name, placed in self.weights.placed.items()},
        )


class EncoderAttentionNodes(AttentionNodes):
    """Attention without a cache; what all layers share is recorded once."""

    def __init__(self, graph: Graph, context: int, inputs: dict[str, Port]) -> None:
        super().__init__(graph, context, inputs)
        length = self._scalar(self._size("input_ids", 1))
        self._positions = self._range(graph.constant(0), length)
        inputs["position_ids"] = graph.one("Unsqueeze", self._positions, graph.constant(0))

    def attend_all(self, q: Port, k: Port, v: Port, attention: Attention, bias: Port | None) -> Port:
        """Record one layer's attention."""
        graph = self.graph
        q, k, v = (
            graph.one("Transpose", self._heads(x, attention.heads, attention.head_dim), graph.constant([0, 2, 1, 3]))
            for x in (q, k, v)
        )
        if attention.rope is not None:
            cos, sin = self._rope(attention.rope)
            q, k = self._rotate(q, cos, sin, attention.head_dim), self._rotate(k, cos, sin, attention.head_dim)
        mask = self._seen(attention.window, bias)
        scale = graph.constant(attention.scale, np.float32)
        out = graph.one("ScaledDotProductAttention", q, k, v, mask, scale, opset=13, causal=False)
        out = graph.one("Transpose", out, graph.constant([0, 2, 1, 3]))
        return graph.one("Reshape", out, graph.constant([0, 0, attention.query_size]), special_zero=True)

    def distances(self) -> Port:
        """Return [n, n]: how far the seen token (column) is behind the one that sees it."""
        if "distances" not in self._shared:
            rows = self.graph.one("Unsqueeze", self._positions, self.graph.constant(1))
            self._shared["distances"] = self.graph.one("Subtract", self._positions, rows)
        return self._shared["distances"]

    def _seen(self, window: int | None, bias: Port | None) -> Port:
        """Return what is added to the scores, [batch, 1 or heads, n, n]: no token sees padding."""
        key = ("seen", window, bias)
        if key not in self._shared:
            graph = self.graph
            real = graph.one("Convert", self.inputs["attention_mask"], precision="BOOL", destination_type="boolean")
            real = graph.one("Unsqueeze", real, graph.constant([1, 2]))
            # Always whole: the engine takes no mask that it would have to repeat for each row.
            far = graph.one("Abs", self.distances())
            limit = graph.constant(self.context if window is None else window)
            seen = graph.one("LogicalAnd", real, graph.one("Less", far, limit, precision="BOOL"))
            zero, hidden = graph.constant(0, np.float32), graph.constant(HIDDEN, np.float32)
            added = graph.one("Select", seen, zero, hidden, precision="FP32")
            self._shared[key] = added if bias is None else graph.one("Add", added, bias)
        return self._shared[key]

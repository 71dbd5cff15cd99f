"""Attention in OpenVINO IR: state, rope tables and masks, laid out so that the engine fuses them.

The stateful form is the one that optimum-intel writes: per layer a ReadValue, a Gather by `beam_idx`, a Concat and an
Assign, and a ScaledDotProductAttention. The CPU plugin fuses these, and its paged attention transformation
recognises them (src/core/src/pass/sdpa_to_paged_attention.cpp), only in this very form.
"""

from __future__ import annotations

import numpy as np

from edgekit.spec import Attention, Norm, Rope
from edgekit_exporters.formats._openvino_graph import Graph, Port

HIDDEN = -65504.0
"""Added to the scores of what a token must not see: the lowest float16."""

TOTAL = "edgekit_total"
"""Name of the layer that computes the total length; the runtime replaces it where it knows a larger one to come."""

EVERYTHING = np.iinfo(np.int32).max


class AttentionNodes:
    """Records attention nodes into a graph; what all layers share is recorded once."""

    def __init__(self, graph: Graph, context: int, inputs: dict[str, Port]) -> None:
        self.graph, self.context, self.inputs = graph, context, inputs
        self._ropes: dict[Rope, tuple[Port, Port]] = {}
        self._shared: dict[object, Port] = {}

    def attend(
        self, q: Port, k: Port, v: Port, attention: Attention, layer: int, norms: tuple[Port, Port] | None
    ) -> Port:
        """Record one layer's attention over its state."""
        graph = self.graph
        q, k, v = (
            self._heads(x, count, attention.head_dim)
            for x, count in ((q, attention.heads), (k, attention.kv_heads), (v, attention.kv_heads))
        )
        if norms is not None and attention.qk_norm is not None:
            if attention.qk_norm_by_head:
                own = graph.constant([-1, attention.head_dim])
                q_norm, k_norm = (graph.one("Reshape", weight, own, special_zero=False) for weight in norms)
                norms = q_norm, k_norm
            q, k = (norm_nodes(graph, x, attention.qk_norm, weight) for x, weight in zip((q, k), norms, strict=True))
        q, k, v = (graph.one("Transpose", x, graph.constant([0, 2, 1, 3])) for x in (q, k, v))
        if attention.rope is not None:
            cos, sin = self._rope(attention.rope)
            q, k = self._rotate(q, cos, sin, attention.head_dim), self._rotate(k, cos, sin, attention.head_dim)
        k, v = (
            self._repeat(self._state(f"past_key_values.{layer}.{part}present.{layer}.{part}", x, attention), attention)
            for part, x in (("key", k), ("value", v))
        )
        mask = self._mask(attention.window)
        if attention.softcap is None:
            scale = graph.constant(attention.scale, np.float32)
            out = graph.one("ScaledDotProductAttention", q, k, v, mask, scale, opset=13, causal=False)
        else:
            out = self._softcapped(q, k, v, mask, attention.scale, attention.softcap)
        out = graph.one("Transpose", out, graph.constant([0, 2, 1, 3]))
        return graph.one("Reshape", out, graph.constant([0, 0, attention.query_size]), special_zero=True)

    def _heads(self, x: Port, heads: int, head_dim: int) -> Port:
        return self.graph.one("Reshape", x, self.graph.constant([0, 0, heads, head_dim]), special_zero=True)

    def _state(self, name: str, new: Port, attention: Attention) -> Port:
        """Append to a variable and return all of it: [batch, kv_heads, total, head_dim]."""
        graph, head_dim = self.graph, attention.head_dim
        key = ("empty", attention.kv_heads, head_dim)
        if key not in self._shared:
            rest = graph.constant([attention.kv_heads, 0, head_dim])
            shape = graph.one("Concat", self._size("input_ids", 0), rest, axis=0)
            self._shared[key] = graph.one("Broadcast", graph.constant(0, np.float32), shape, opset=3, mode="numpy")
        shape_text = f"?,{attention.kv_heads},?,{head_dim}"
        past = graph.one(
            "ReadValue", self._shared[key], opset=6, variable_id=name, variable_type="f32", variable_shape=shape_text
        )
        past = graph.one("Gather", past, self.inputs["beam_idx"], graph.constant(0), opset=8, batch_dims=0)
        present = graph.one("Concat", past, new, axis=-2)
        graph.node("Assign", [present], ["FP32"], opset=6, variable_id=name)
        return present

    def _repeat(self, x: Port, attention: Attention) -> Port:
        """Repeat each key/value head for the query heads that share it."""
        graph, times = self.graph, attention.heads // attention.kv_heads
        if times == 1:
            return x
        x = graph.one("Unsqueeze", x, graph.constant(2))
        x = graph.one("Broadcast", x, graph.constant([1, 1, times, 1, 1]), opset=3, mode="bidirectional")
        shape = graph.constant([0, attention.heads, -1, attention.head_dim])
        return graph.one("Reshape", x, shape, special_zero=True)

    def _softcapped(self, q: Port, k: Port, v: Port, mask: Port, scale: float, cap: float) -> Port:
        """Attention in pieces: the fused operator has no cap."""
        graph = self.graph
        scores = graph.one("MatMul", q, k, transpose_a=False, transpose_b=True)
        scores = graph.one("Multiply", scores, graph.constant(scale / cap, np.float32))
        scores = graph.one("Multiply", graph.one("Tanh", scores), graph.constant(cap, np.float32))
        weights = graph.one("Softmax", graph.one("Add", scores, mask), opset=8, axis=-1)
        return graph.one("MatMul", weights, v, transpose_a=False, transpose_b=False)

    def _size(self, name: str, axis: int) -> Port:
        """Return the size of an input along an axis, int64 [1]."""
        key = ("size", name, axis)
        if key not in self._shared:
            graph = self.graph
            shape = graph.one("ShapeOf", self.inputs[name], opset=3, precision="I64", output_type="i64")
            index = graph.constant([axis])
            self._shared[key] = graph.one("Gather", shape, index, graph.constant(0), opset=8, batch_dims=0)
        return self._shared[key]

    def _mask(self, window: int | None) -> Port:
        """Return what is added to the scores, [batch, 1, n, total]: a token sees no later one and no padding."""
        key = ("mask", window)
        if key not in self._shared:
            graph = self.graph
            n, total = self._size("input_ids", 1), self._size("attention_mask", 1)
            keys = self._range(graph.constant(0), self._scalar(total))
            queries = self._range(self._scalar(graph.one("Subtract", total, n)), self._scalar(total))
            queries = graph.one("Unsqueeze", queries, graph.constant(1))
            seen = graph.one("LessEqual", keys, queries, precision="BOOL")
            if window is not None:
                first = graph.one("Subtract", queries, graph.constant(window))
                recent = graph.one("Greater", keys, first, precision="BOOL")
                seen = graph.one("LogicalAnd", seen, recent)
            real = graph.one("Convert", self.inputs["attention_mask"], precision="BOOL", destination_type="boolean")
            real = graph.one("Unsqueeze", real, graph.constant([1, 2]))
            seen = graph.one("LogicalAnd", real, seen)
            zero, hidden = graph.constant(0, np.float32), graph.constant(HIDDEN, np.float32)
            self._shared[key] = graph.one("Select", seen, zero, hidden, precision="FP32")
        return self._shared[key]

    def _scalar(self, x: Port) -> Port:
        return self.graph.one("Squeeze", x, self.graph.constant(0))

    def _range(self, start: Port, stop: Port) -> Port:
        return self.graph.one("Range", start, stop, self.graph.constant(1), opset=4, output_type="i64")

    def _rope(self, rope: Rope) -> tuple[Port, Port]:
        """Return cos and sin at the input's positions, [batch, 1, n, head_dim].

        LongRoPE's two sets lie in one table, the long one behind the short one; beyond the border all positions are
        moved into it.
        """
        if rope not in self._ropes:
            graph, positions = self.graph, self.inputs["position_ids"]
            long = rope.border is not None and self.context > rope.border
            short = rope.tables(min(self.context, rope.border) if long and rope.border is not None else self.context)
            sets = [short, rope.tables(self.context, long=True)] if long else [short]
            if rope.border is not None and long:
                positions = graph.one("Add", positions, self._table_offset(rope.border))
            gathered = []
            for halves in zip(*sets, strict=True):
                table = np.concatenate([np.concatenate([half, half], axis=1) for half in halves])
                rows = graph.one("Gather", graph.table(table), positions, graph.constant(0), opset=8, batch_dims=0)
                gathered.append(graph.one("Unsqueeze", rows, graph.constant(1)))
            self._ropes[rope] = gathered[0], gathered[1]
        return self._ropes[rope]

    def _table_offset(self, border: int) -> Port:
        """Return `border` once the total length passes it, else 0."""
        key = ("offset", border)
        if key not in self._shared:
            graph = self.graph
            if TOTAL not in self._shared:
                last = graph.one("ReduceMax", self.inputs["position_ids"], graph.constant([0, 1]), keep_dims=False)
                self._shared[TOTAL] = graph.one("Add", last, graph.constant(1), name=TOTAL)
            beyond = graph.one("Greater", self._shared[TOTAL], graph.constant(border), precision="BOOL")
            offset = graph.one("Select", beyond, graph.constant(border), graph.constant(0), precision="I64")
            self._shared[key] = offset
        return self._shared[key]

    def _rotate(self, x: Port, cos: Port, sin: Port, head_dim: int) -> Port:
        """Return x · cos + (-second half, first half) · sin."""
        graph, half = self.graph, head_dim // 2
        first, second = (
            graph.one("Slice", x, *(graph.constant([value]) for value in (start, stop, 1, 3)), opset=8)
            for start, stop in ((0, half), (half, EVERYTHING))
        )
        negative = graph.one("Multiply", second, graph.constant([[[[-1.0]]]], np.float32))
        turned = graph.one("Concat", negative, first, axis=-1)
        return graph.one("Add", graph.one("Multiply", x, cos), graph.one("Multiply", turned, sin))


def norm_nodes(graph: Graph, x: Port, norm: Norm, weight: Port, bias: Port | None = None) -> Port:
    """Record a norm over the last axis; the root mean square in the pieces that the engine fuses into its RMS node."""
    axis = graph.constant([-1])
    if norm.kind == "layer":
        normed = graph.one("MVN", x, axis, opset=6, normalize_variance=True, eps=norm.eps, eps_mode="inside_sqrt")
    else:
        square = graph.one("Power", x, graph.constant(2, np.float32))
        mean = graph.one("ReduceMean", square, axis, keep_dims=True)
        root = graph.one("Sqrt", graph.one("Add", mean, graph.constant(norm.eps, np.float32)))
        normed = graph.one("Multiply", x, graph.one("Divide", graph.constant(1, np.float32), root))
    normed = graph.one("Multiply", normed, weight)
    return normed if bias is None else graph.one("Add", normed, bias)

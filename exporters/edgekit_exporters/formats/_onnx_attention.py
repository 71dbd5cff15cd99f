"""Attention in ONNX: GroupQueryAttention, its lengths, rope tables, and heads it cannot take brought into form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from edgekit.spec import Attention, Rope
from edgekit_exporters.formats._onnx_graph import Graph
from edgekit_exporters.weights import Float32

HEAD_MULTIPLE = 16
"""GroupQueryAttention takes heads of multiples of 8, of 16 with a rope."""


class AttentionNodes:
    """Records attention nodes into a graph; what all layers share is recorded once."""

    def __init__(self, graph: Graph, context: int, border: int | None) -> None:
        self.graph, self.context, self.border = graph, context, border
        self._ropes: dict[Rope, tuple[str, str]] = {}
        self._shared: dict[str, str] = {}
        self._layers: dict[int, Attention] = {}

    def attend(self, parts: Sequence[str], attention: Attention, layer: int, norms: Sequence[str]) -> str:
        """Record one layer's attention over its cache; `parts` are q, k and v, or all three in one."""
        graph, head = self.graph, padded_head(attention)
        self._layers[layer] = attention
        counts = [attention.heads, attention.kv_heads, attention.kv_heads]
        counts = [sum(counts)] if len(parts) == 1 else counts
        if norms and attention.qk_norm is not None:
            normed = [
                self._head_norm(part, count, attention, weight)
                for part, count, weight in zip(parts[:2], counts, norms, strict=False)
            ]
            parts = [*normed, *parts[2:]]
        if head != attention.head_dim:
            parts = [
                self._pad(part, count, attention.head_dim, head) for part, count in zip(parts, counts, strict=True)
            ]
        cache: list[int | str] = ["batch", attention.kv_heads, "past", head]
        past = [graph.input(f"past_key_values.{layer}.{part}", TensorProto.FLOAT, cache) for part in ("key", "value")]
        present = [
            graph.output(f"present.{layer}.{part}", TensorProto.FLOAT, ["batch", attention.kv_heads, "present", head])
            for part in ("key", "value")
        ]
        qkv = [*parts, "", ""] if len(parts) == 1 else list(parts)
        rope = self._rope(attention.rope, head) if attention.rope is not None else []
        attributes = {
            "num_heads": attention.heads,
            "kv_num_heads": attention.kv_heads,
            "scale": attention.scale,
            "do_rotary": int(bool(rope)),
        }
        if attention.window is not None:
            attributes["local_window_size"] = attention.window
        if attention.softcap is not None:
            attributes["softcap"] = attention.softcap
        out = f"attention_{layer}"
        inputs = [*qkv, *past, self._lengths(), self._total(), *rope]
        graph.node("GroupQueryAttention", inputs, [out, *present], microsoft=True, **attributes)
        return out if head == attention.head_dim else self._unpad(out, attention, head)

    def padded(self, cache: str, values: Float32) -> Float32:
        """Return values of a cache's elements ("LAYER.key" or "LAYER.value") as the engine's heads have them."""
        attention = self._layers[int(cache.partition(".")[0])]
        pieces = values.reshape(-1, attention.head_dim // _halves(attention))
        filling = padded_head(attention) // _halves(attention) - pieces.shape[1]
        return np.pad(pieces, ((0, 0), (0, filling))).reshape(-1)

    def positions(self) -> str:
        """Return the positions of the input tokens, [n]."""
        if "positions" not in self._shared:
            graph = self.graph
            total = graph.one("Cast", self._total(), to=TensorProto.INT64)
            start = graph.one("Sub", total, self._squeeze(graph.one("Shape", "input_ids", start=1, end=2)))
            self._shared["positions"] = graph.one("Range", start, total, graph.constant(1))
        return self._shared["positions"]

    def _total(self) -> str:
        """Return total_sequence_length: an int32 scalar."""
        if "total" not in self._shared:
            length = self._squeeze(self.graph.one("Shape", "attention_mask", start=1, end=2))
            self._shared["total"] = self.graph.one("Cast", length, to=TensorProto.INT32)
        return self._shared["total"]

    def _lengths(self) -> str:
        """Return seqlens_k: int32 [batch], the total length less one."""
        if "lengths" not in self._shared:
            graph = self.graph
            total = graph.one("ReduceSum", "attention_mask", graph.constant([1]), keepdims=0)
            total = graph.one("Sub", total, graph.constant(1))
            self._shared["lengths"] = graph.one("Cast", total, to=TensorProto.INT32)
        return self._shared["lengths"]

    def _squeeze(self, name: str) -> str:
        return self.graph.one("Squeeze", name, self.graph.constant([0]))

    def _rope(self, rope: Rope, head: int) -> list[str]:
        """Return the inputs cos_cache, sin_cache and, for LongRoPE, position_ids.

        LongRoPE's two sets lie in one table, the long one behind the short one; positions beyond the border are
        moved into it, all of them together.
        """
        if rope not in self._ropes:
            long = rope.border is not None and self.context > rope.border
            short = rope.tables(min(self.context, rope.border) if long and rope.border is not None else self.context)
            sets = [short, rope.tables(self.context, long=True)] if long else [short]
            pad = head // 2 - len(rope.frequencies)
            cos = np.concatenate([np.pad(s[0], ((0, 0), (0, pad)), constant_values=1.0) for s in sets])
            sin = np.concatenate([np.pad(s[1], ((0, 0), (0, pad))) for s in sets])
            name = f"rope_{len(self._ropes)}"
            self._ropes[rope] = self.graph.table(f"{name}.cos", cos), self.graph.table(f"{name}.sin", sin)
        inputs = list(self._ropes[rope])
        if rope.border is not None and self.context > rope.border:
            inputs.append(self._table_positions(rope.border))
        return inputs

    def _table_positions(self, border: int) -> str:
        """Return the positions of the input tokens within the joined tables, int64 [batch, n]."""
        key = f"table_positions_{border}"
        if key not in self._shared:
            graph = self.graph
            graph.constant([0], name="reach")
            graph.input("reach", TensorProto.INT64, [1])
            total = graph.one("Cast", self._total(), to=TensorProto.INT64)
            longest = graph.one("Max", total, self._squeeze("reach"))
            beyond = graph.one("Greater", longest, graph.constant(border))
            offset = graph.one("Where", beyond, graph.constant(border), graph.constant(0))
            row = graph.one("Add", self.positions(), offset)
            shape = graph.one("Shape", "input_ids")
            self._shared[key] = graph.one("Expand", row, shape)
        return self._shared[key]

    def _head_norm(self, part: str, heads: int, attention: Attention, weight: str) -> str:
        """Norm over each head; the fused node knows one set of weights only, so heads with their own are multiplied."""
        assert attention.qk_norm is not None
        graph, norm = self.graph, attention.qk_norm
        kind = "SimplifiedLayerNormalization" if norm.kind == "rms" else "LayerNormalization"
        cut = graph.one("Reshape", part, graph.constant([0, 0, heads, attention.head_dim]))
        if attention.qk_norm_by_head:
            ones = graph.constant(np.ones(attention.head_dim), np.float32)
            own = graph.one("Reshape", weight, graph.constant([heads, attention.head_dim]))
            normed = graph.one("Mul", graph.one(kind, cut, ones, axis=-1, epsilon=norm.eps), own)
        else:
            normed = graph.one(kind, cut, weight, axis=-1, epsilon=norm.eps)
        return graph.one("Reshape", normed, graph.constant([0, 0, heads * attention.head_dim]))

    def _pad(self, part: str, heads: int, head_dim: int, head: int) -> str:
        """Fill heads up with zeros, each half of its own: the pairs (i, i + head / 2) stay pairs."""
        graph, halves = self.graph, 2 if head_dim % 2 == 0 else 1
        cut = graph.one("Reshape", part, graph.constant([0, 0, heads * halves, head_dim // halves]))
        padded = graph.one("Pad", cut, graph.constant([0] * 7 + [(head - head_dim) // halves]))
        return graph.one("Reshape", padded, graph.constant([0, 0, heads * head]))

    def _unpad(self, out: str, attention: Attention, head: int) -> str:
        """Cut the heads' fillings off again."""
        graph, halves = self.graph, _halves(attention)
        cut = graph.one("Reshape", out, graph.constant([0, 0, attention.heads * halves, head // halves]))
        start, end, axis = (graph.constant([k]) for k in (0, attention.head_dim // halves, 3))
        sliced = graph.one("Slice", cut, start, end, axis)
        return graph.one("Reshape", sliced, graph.constant([0, 0, attention.query_size]))


def padded_head(attention: Attention) -> int:
    """Return the head size that the engine computes with."""
    return -(-attention.head_dim // HEAD_MULTIPLE) * HEAD_MULTIPLE


def _halves(attention: Attention) -> int:
    """Return in how many pieces a head is filled up: two, so that rotated pairs stay pairs, if it has halves."""
    return 2 if attention.head_dim % 2 == 0 else 1

"""Attention in TFLite, from elementary operators, over the beginning of a cache: as long as a signature's span.

Both parts of a layer's cache are vectors, one token's keys (or values) behind the other's. So a token is written in
one piece, memory grows with the tokens that are there, a prefix is a contiguous copy, and the engine takes the
caller's own memory for it (which ai-edge-litert 2.3 does for vectors only): the same for all signatures, of which each
sees no more of it than its span.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.spec import Attention, DecoderSpec, Norm, Rope
from edgekit_exporters.formats._tflite_graph import INT32, Value
from edgekit_exporters.formats._tflite_nodes import Nodes
from edgekit_exporters.formats._tflite_weights import Store
from edgekit_exporters.weights import Float32

LARGEST_GROUP_BY_ELEMENTS = 1
"""Query heads per key head up to which one token is attended element by element: the products grow with them."""

HIDDEN = -1e9
"""Added to the scores of positions beyond a window, for each position: enough that none is left after the softmax."""


class AttentionNodes:
    """Records the attention of one signature: `tokens` new ones over the first `span` of `context` positions."""

    def __init__(self, nodes: Nodes, store: Store, spec: DecoderSpec, *, tokens: int, span: int, context: int) -> None:
        self.nodes, self.store, self.graph = nodes, store, nodes.graph
        self.tokens, self.span, self.context, self.layers = tokens, span, context, len(spec.layers)
        self.border = spec.border if spec.border is not None and spec.border < context else None
        self.input_pos = self.graph.input("input_pos", (tokens,), INT32)
        self._mask = self.graph.input("mask", (1, 1, tokens, span))
        self._offset = self.graph.input("rope_offset", (1,), INT32) if self.border is not None else None
        self._masks: dict[tuple[int | None, bool], Value] = {}
        self._starts: dict[int, Value] = {}
        self._ropes: dict[Rope, tuple[Value, Value]] = {}

    def attend(self, parts: Sequence[Value], attention: Attention, layer: int, norms: Sequence[Value]) -> Value:
        """Record one layer: `parts` are q, k, v [n, heads * head_dim], or all of them in one."""
        q, k, v = self._heads(parts, attention, norms)
        keys, values = (self._cached(part, layer, x, attention) for part, x in (("k", k), ("v", v)))
        q = self.nodes.multiply(q, self.graph.number(attention.scale))
        if self.tokens == 1 and attention.heads <= attention.kv_heads * LARGEST_GROUP_BY_ELEMENTS:
            return self._by_elements(q, keys, values, attention)
        return self._by_products(q, keys, values, attention)

    def _by_products(self, q: Value, keys: Value, values: Value, attention: Attention) -> Value:
        """Return softmax(q · kᵀ) · v in batched products; keys and values are [span, kv, head]."""
        nodes, n, kv, head = self.nodes, self.tokens, attention.kv_heads, attention.head_dim
        group = attention.heads // kv
        keys, values = (nodes.reshape(nodes.transpose(x, (1, 0, 2)), (1, kv, self.span, head)) for x in (keys, values))
        # One row per query head within its key's group: [1, kv, n * group, head].
        q = nodes.reshape(nodes.transpose(nodes.reshape(q, (n, kv, group * head)), (1, 0, 2)), (1, kv, n * group, head))
        scores = nodes.matmul(q, keys, transpose=True)
        if attention.softcap is not None:
            scores = nodes.softcap(scores, attention.softcap)
        apart = group > 1 and n > 1
        if apart:
            scores = nodes.reshape(scores, (kv, n, group, self.span))
        scores = nodes.softmax(nodes.add(scores, self._masked(attention.window, apart=apart)))
        if apart:
            scores = nodes.reshape(scores, (1, kv, n * group, self.span))
        out = nodes.reshape(nodes.matmul(scores, values, transpose=False), (kv, n, group * head))
        return nodes.reshape(nodes.transpose(out, (1, 0, 2)), (n, attention.query_size))

    def _by_elements(self, q: Value, keys: Value, values: Value, attention: Attention) -> Value:
        """Return the same for one token, multiplied element by element and summed.

        XNNPACK's products first bring their second factor into another layout, which for a single row costs more than
        the product itself: this takes half the time (Phi-3's heads, spans of 256 and 1024).
        """
        nodes, kv, head, span = self.nodes, attention.kv_heads, attention.head_dim, self.span
        heads, group = attention.heads, attention.heads // attention.kv_heads
        products = nodes.multiply(nodes.reshape(keys, (span, kv, 1, head)), nodes.reshape(q, (1, kv, group, head)))
        scores = nodes.transpose(nodes.reshape(nodes.sum(products, 3), (span, heads)), (1, 0))
        if attention.softcap is not None:
            scores = nodes.softcap(scores, attention.softcap)
        mask = nodes.reshape(self._masked(attention.window, apart=False), (1, span))
        shares = nodes.transpose(nodes.softmax(nodes.add(scores, mask)), (1, 0))
        products = nodes.multiply(
            nodes.reshape(values, (span, kv, 1, head)), nodes.reshape(shares, (span, kv, group, 1))
        )
        return nodes.reshape(nodes.sum(products, 0), (1, attention.query_size))

    def _heads(
        self, parts: Sequence[Value], attention: Attention, norms: Sequence[Value]
    ) -> tuple[Value, Value, Value]:
        """Return q and k by heads, normed and rotated, [n, heads, head_dim], and v [n, kv * head_dim]."""
        nodes, heads, kv, head = self.nodes, attention.heads, attention.kv_heads, attention.head_dim
        widths = (attention.query_size, attention.kv_size, attention.kv_size)
        if len(parts) == 1 and not norms and attention.rope is not None:
            # q and k are rotated together: half the nodes.
            both = nodes.columns(parts[0], 0, widths[0] + widths[1])
            both = self._rotate(nodes.reshape(both, (self.tokens, heads + kv, head)), attention.rope)
            q, k = nodes.part(both, 1, 0, heads), nodes.part(both, 1, heads, kv)
            return q, k, nodes.columns(parts[0], sum(widths[:2]), widths[2])
        if len(parts) == 1:
            parts = [nodes.columns(parts[0], sum(widths[:i]), width) for i, width in enumerate(widths)]
        q = nodes.reshape(parts[0], (self.tokens, heads, head))
        k = nodes.reshape(parts[1], (self.tokens, kv, head))
        if norms and attention.qk_norm is not None:
            q, k = (self._norm(x, attention.qk_norm, weight) for x, weight in zip((q, k), norms, strict=True))
        if attention.rope is not None:
            q, k = self._rotate(q, attention.rope), self._rotate(k, attention.rope)
        return q, k, parts[2]

    def _norm(self, x: Value, norm: Norm, weight: Value) -> Value:
        if weight.shape[0] != x.shape[-1]:
            weight = self.nodes.reshape(weight, x.shape[1:])  # a weight of its own for each head
        return self.nodes.multiply(self.nodes.normalise(x, norm), weight)

    def _rotate(self, x: Value, rope: Rope) -> Value:
        """Return x [n, heads, head] · [cos, cos] + x with its halves exchanged · [-sin, sin]."""
        nodes, half = self.nodes, x.shape[2] // 2
        cos, sin = self._rope(rope)
        exchanged = nodes.join([nodes.part(x, 2, half, half), nodes.part(x, 2, 0, half)], 2)
        return nodes.add(nodes.multiply(x, cos), nodes.multiply(exchanged, sin))

    def _rope(self, rope: Rope) -> tuple[Value, Value]:
        """Return the rows of the new positions, each [n, 1, head_dim]."""
        if rope not in self._ropes:
            nodes, n, half = self.nodes, self.tokens, len(rope.frequencies)
            name = f"rope_{self.store.number(rope)}"
            table = self.graph.external(self.store.table(name, lambda: self._rope_table(rope)))
            positions = self.input_pos
            if self._offset is not None and rope.long_frequencies is not None:
                positions = nodes.add(positions, self._offset)
            rows = nodes.gather(table, positions)
            cos, sin = nodes.columns(rows, 0, half), nodes.columns(rows, half, half)
            turned = nodes.join([nodes.multiply(sin, self.graph.number(-1.0)), sin], 1)
            self._ropes[rope] = (
                nodes.reshape(nodes.join([cos, cos], 1), (n, 1, 2 * half)),
                nodes.reshape(turned, (n, 1, 2 * half)),
            )
        return self._ropes[rope]

    def _rope_table(self, rope: Rope) -> Float32:
        """Return [positions, head_dim]: cos and sin side by side; LongRoPE's long set lies behind the short one."""
        if self.border is None or rope.long_frequencies is None:
            return np.concatenate(rope.tables(self.context), axis=1)
        short = np.concatenate(rope.tables(self.border), axis=1)
        return np.concatenate([short, np.concatenate(rope.tables(self.context, long=True), axis=1)])

    def _cached(self, part: str, layer: int, new: Value, attention: Attention) -> Value:
        """Write new keys (or values) [n, ...] into the cache; return its span, [span, kv, head]."""
        nodes, size, name = self.nodes, attention.kv_size, f"kv_cache_{part}_{layer}"
        cache = self.graph.input(name, (self._capacity(layer) * size,))
        cache = nodes.update(cache, nodes.reshape(new, (self.tokens * size,)), self._start(size))
        self.graph.output(name, cache)
        seen = nodes.part(cache, 0, 0, self.span * size)
        return nodes.reshape(seen, (self.span, attention.kv_heads, attention.head_dim))

    def _capacity(self, layer: int) -> int:
        """Return the tokens of a layer's cache: those of the span, and in the last layer as many again, never written.

        The engine plans room for caches in its own memory, by size and then by time, though they live in the caller's;
        what passes between operators goes into the first gap. The largest cache comes first, and as the last one in
        time it is one gap for all layers; with equal ones each layer's values lie in a gap, and in pages, of their own
        (30 layers: 29 MB instead of 7 for a prefill of 128).
        """
        return 2 * self.span if layer == self.layers - 1 else self.span

    def _start(self, size: int) -> Value:
        """Return where the first new token lies in a cache of `size` elements per token, int32 [1]."""
        if size not in self._starts:
            first = self.nodes.part(self.input_pos, 0, 0, 1)
            self._starts[size] = self.nodes.multiply(first, self.graph.numbers(size))
        return self._starts[size]

    def _masked(self, window: int | None, *, apart: bool) -> Value:
        """Return what is added to the scores; `apart` where a position has several rows of them."""
        key = (window, apart)
        if key not in self._masks:
            nodes, n = self.nodes, self.tokens
            mask = self._mask
            if window is not None and window < self.span:
                positions = nodes.reshape(nodes.to_float(self.input_pos), (1, 1, n, 1))
                edge = np.arange(self.span, dtype=np.float32) + np.float32(window - 1)
                beyond = nodes.relu(nodes.subtract(positions, self.graph.constant(edge.reshape(1, 1, 1, -1))))
                mask = nodes.add(mask, nodes.multiply(beyond, self.graph.number(HIDDEN)))
            self._masks[key] = nodes.reshape(mask, (1, n, 1, self.span)) if apart else mask
        return self._masks[key]

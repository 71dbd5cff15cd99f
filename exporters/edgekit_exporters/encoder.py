"""The forward pass of every encoder, written once against `EncoderOperations`.

Weight names, for layer i (`L` = "layers.{i}"; a bias has the same name with `.bias` instead of `.weight`):

    embed.weight [vocab, hidden]        positions.weight [context, hidden]      learned positions only
    embed_norm.weight [hidden]          relative_bias.weight [2 * context - 1, heads]
    L.attention_norm.weight [hidden]    behind the first sum; before attention where `pre_norm`, but not in layer 0,
                                        whose input the embedding's norm has just left
    L.attention.q|k|v|o.weight          [heads * head_dim, hidden], o [hidden, heads * head_dim]
    L.mlp_norm.weight                   behind the second sum; before the MLP where `pre_norm`
    L.mlp.gate|up|down.weight           gate only where gated
    norm.weight [hidden]                `pre_norm` only: behind the last layer
    classifier.dense.weight [hidden, hidden], classifier.norm.weight [hidden], classifier.weight [labels, hidden]
"""

from __future__ import annotations

from collections.abc import Container
from typing import Generic

from edgekit.spec import EncoderSpec, Head
from edgekit_exporters.operations import EncoderOperations, Projection, V

HIDDEN, LOGITS = "hidden", "logits"
"""The names of the result: hidden states without a head, logits with one."""


def weight_shapes(spec: EncoderSpec) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight that a spec asks for; biases are what a checkpoint may have besides."""
    hidden, mlp = spec.hidden_size, spec.mlp_size
    shapes: dict[str, tuple[int, ...]] = {"embed.weight": (spec.vocab_size, hidden), "embed_norm.weight": (hidden,)}
    if spec.learned_positions:
        shapes["positions.weight"] = (spec.context, hidden)
    if spec.relative_bias:
        shapes["relative_bias.weight"] = (2 * spec.context - 1, spec.layers[0].heads)
    for i, layer in enumerate(spec.layers):
        parts: dict[str, tuple[int, ...]] = {
            "attention_norm": (hidden,),
            "attention.q": (layer.query_size, hidden),
            "attention.k": (layer.kv_size, hidden),
            "attention.v": (layer.kv_size, hidden),
            "attention.o": (hidden, layer.query_size),
            "mlp_norm": (hidden,),
            "mlp.up": (mlp, hidden),
            "mlp.down": (hidden, mlp),
        }
        if spec.gated:
            parts["mlp.gate"] = (mlp, hidden)
        if spec.pre_norm and i == 0:
            del parts["attention_norm"]
        shapes |= {f"layers.{i}.{part}.weight": shape for part, shape in parts.items()}
    if spec.pre_norm:
        shapes["norm.weight"] = (hidden,)
    if spec.head is not None:
        shapes["classifier.weight"] = (spec.head.labels, hidden)
        if spec.head.activation is not None:
            shapes["classifier.dense.weight"] = (hidden, hidden)
        if spec.head.norm is not None:
            shapes["classifier.norm.weight"] = (hidden,)
    return shapes


def encode(ops: EncoderOperations[V], spec: EncoderSpec, names: Container[str]) -> None:
    """Run the forward pass; `names` are the weights there are, so that a bias is used where the model has one."""
    _Encoder(ops, spec, names).run()


class _Encoder(Generic[V]):
    """One run of the forward pass. `h` is the residual stream, `x` what enters a layer's half (h, normed)."""

    def __init__(self, ops: EncoderOperations[V], spec: EncoderSpec, names: Container[str]) -> None:
        self.ops, self.spec, self.names = ops, spec, names
        self.bias: V | None = None

    def run(self) -> None:
        ops, spec = self.ops, self.spec
        h = ops.embed("embed.weight")
        if spec.relative_bias:
            self.bias = ops.relative_bias("relative_bias.weight")
        if spec.learned_positions:
            _, h = self.add_norm(h, ops.positions("positions.weight"), "embed_norm")
        else:
            h = ops.norm(h, spec.norm, "embed_norm.weight", self.bias_of("embed_norm"))
        x = h
        for i in range(len(spec.layers)):
            h, x = self.pre_layer(i, h, x) if spec.pre_norm else self.post_layer(i, h)
        if spec.head is None:
            ops.output(HIDDEN, x)
        else:
            ops.output(LOGITS, self.head(x, spec.head))

    def pre_layer(self, i: int, h: V, x: V) -> tuple[V, V]:
        """Norm, attention, add; norm, MLP, add."""
        h, x = self.add_norm(h, self.attention(i, x), f"layers.{i}.mlp_norm")
        last = i == len(self.spec.layers) - 1
        return self.add_norm(h, self.mlp(i, x), "norm" if last else f"layers.{i + 1}.attention_norm")

    def post_layer(self, i: int, h: V) -> tuple[V, V]:
        """Attention, add, norm; MLP, add, norm."""
        _, h = self.add_norm(h, self.attention(i, h), f"layers.{i}.attention_norm")
        _, h = self.add_norm(h, self.mlp(i, h), f"layers.{i}.mlp_norm")
        return h, h

    def attention(self, i: int, x: V) -> V:
        at = f"layers.{i}.attention"
        q, k, v = self.linear(x, f"{at}.q", f"{at}.k", f"{at}.v")
        attended = self.ops.attend_all(q, k, v, self.spec.layers[i], self.bias)
        return self.linear(attended, f"{at}.o")[0]

    def mlp(self, i: int, x: V) -> V:
        ops, at, kind = self.ops, f"layers.{i}.mlp", self.spec.activation
        if self.spec.gated:
            gate, up = self.linear(x, f"{at}.gate", f"{at}.up")
            inner = ops.multiply(ops.activation(gate, kind), up)
        else:
            inner = ops.activation(self.linear(x, f"{at}.up")[0], kind)
        return self.linear(inner, f"{at}.down")[0]

    def head(self, x: V, head: Head) -> V:
        if head.pool is not None:
            assert head.pool != "other", "only graphs that were never written here have it"
            x = self.ops.pool(x, head.pool)
        if head.activation is not None:
            x = self.ops.activation(self.linear(x, "classifier.dense")[0], head.activation)
        if head.norm is not None:
            x = self.ops.norm(x, head.norm, "classifier.norm.weight", self.bias_of("classifier.norm"))
        return self.linear(x, "classifier")[0]

    def linear(self, x: V, *names: str) -> tuple[V, ...]:
        return self.ops.linear(x, *(Projection(f"{name}.weight", self.bias_of(name)) for name in names))

    def add_norm(self, a: V, b: V, name: str) -> tuple[V, V]:
        return self.ops.add_norm(a, b, self.spec.norm, f"{name}.weight", self.bias_of(name))

    def bias_of(self, name: str) -> str | None:
        return f"{name}.bias" if f"{name}.bias" in self.names else None

"""The forward pass of every decoder, written once against `DecoderOperations`.

Weight names, for layer i (`L` = "layers.{i}"; a bias has the same name with `.bias` instead of `.weight`):

    embed.weight [vocab, hidden]        positions.weight [context, hidden]      learned positions only
    L.attention_norm.weight [hidden]    before attention (after it where residual is "post")
    L.attention.q|k|v.weight            [heads * head_dim, hidden], [kv_heads * head_dim, hidden]
    L.attention.q_norm|k_norm.weight    [head_dim] for all heads; [heads * head_dim] where each has its own, or where
                                        the whole projection is normed
    L.attention.o.weight                [hidden, heads * head_dim]
    L.attention_out_norm.weight         residual "sandwich" only: after attention
    L.mlp_norm.weight                   before the MLP (after it where residual is "post"); none where "parallel"
    L.mlp.gate|up|down.weight           gate only where gated
    L.mlp_out_norm.weight               residual "sandwich" only: after the MLP
    norm.weight [hidden]                head.weight [vocab, hidden]             untied only
"""

from __future__ import annotations

from collections.abc import Container
from typing import Generic

from edgekit.spec import Attention, DecoderSpec
from edgekit_exporters.operations import DecoderOperations, Projection, V


def weight_shapes(spec: DecoderSpec) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight that a spec asks for; biases are what a checkpoint may have besides."""
    hidden, mlp = spec.hidden_size, spec.mlp_size
    shapes: dict[str, tuple[int, ...]] = {"embed.weight": (spec.vocab_size, hidden), "norm.weight": (hidden,)}
    if not spec.tied:
        shapes["head.weight"] = (spec.vocab_size, hidden)
    if spec.learned_positions:
        shapes["positions.weight"] = (spec.context, hidden)
    for i, layer in enumerate(spec.layers):
        parts: dict[str, tuple[int, ...]] = {
            "attention_norm": (hidden,),
            "attention.q": (layer.query_size, hidden),
            "attention.k": (layer.kv_size, hidden),
            "attention.v": (layer.kv_size, hidden),
            "attention.o": (hidden, layer.query_size),
            "mlp.up": (mlp, hidden),
            "mlp.down": (hidden, mlp),
        }
        if spec.gated:
            parts["mlp.gate"] = (mlp, hidden)
        if spec.residual != "parallel":
            parts["mlp_norm"] = (hidden,)
        if spec.residual == "sandwich":
            parts |= {"attention_out_norm": (hidden,), "mlp_out_norm": (hidden,)}
        if spec.projection_norm:
            parts |= {"attention.q_norm": (layer.query_size,), "attention.k_norm": (layer.kv_size,)}
        if layer.qk_norm is not None:
            q, k = (layer.query_size, layer.kv_size) if layer.qk_norm_by_head else (layer.head_dim, layer.head_dim)
            parts |= {"attention.q_norm": (q,), "attention.k_norm": (k,)}
        shapes |= {f"layers.{i}.{part}.weight": shape for part, shape in parts.items()}
    return shapes


def decode(ops: DecoderOperations[V], spec: DecoderSpec, names: Container[str]) -> None:
    """Run the forward pass; `names` are the weights there are, so that a bias is used where the model has one."""
    _Decoder(ops, spec, names).run()


class _Decoder(Generic[V]):
    """One run of the forward pass. `h` is the residual stream, `x` what enters a layer's half (h, normed)."""

    def __init__(self, ops: DecoderOperations[V], spec: DecoderSpec, names: Container[str]) -> None:
        self.ops, self.spec, self.names = ops, spec, names

    def run(self) -> None:
        ops, spec = self.ops, self.spec
        h = self.embed()
        x = h if spec.residual == "post" else self.norm(h, "layers.0.attention_norm")
        layer = {"parallel": self.parallel_layer, "post": self.post_layer}.get(spec.residual, self.pre_layer)
        for i in range(len(spec.layers)):
            h, x = layer(i, h, x)
        logits = self.linear(x, "embed" if spec.tied else "head")[0]
        if spec.logit_scale != 1.0:
            logits = ops.multiply(logits, spec.logit_scale)
        if spec.logit_softcap is not None:
            logits = ops.softcap(logits, spec.logit_softcap)
        ops.output("logits", logits)

    def embed(self) -> V:
        h = self.ops.embed("embed.weight")
        if self.spec.embedding_scale != 1.0:
            h = self.ops.multiply(h, self.spec.embedding_scale)
        if self.spec.learned_positions:
            h = self.ops.add(h, self.ops.positions("positions.weight"))
        return h

    def pre_layer(self, i: int, h: V, x: V) -> tuple[V, V]:
        """Norm, attention, add; norm, MLP, add. "sandwich" (Gemma 2) norms each half's result as well."""
        attended, h = self.attention(i, x, h)
        if self.spec.residual == "sandwich":
            attended = self.norm(attended, f"layers.{i}.attention_out_norm")
        h, x = self.add_norm(h, attended, f"layers.{i}.mlp_norm")
        x = self.mlp(i, x)
        if self.spec.residual == "sandwich":
            x = self.norm(x, f"layers.{i}.mlp_out_norm")
        return self.add_norm(h, x, self.next_norm(i))

    def post_layer(self, i: int, h: V, x: V) -> tuple[V, V]:
        """Attention, norm, add; MLP, norm, add (OLMo 2)."""
        attended, h = self.attention(i, x, h)
        h = self.ops.add(h, self.norm(attended, f"layers.{i}.attention_norm"))
        out = self.norm(self.mlp(i, h), f"layers.{i}.mlp_norm")
        if i == len(self.spec.layers) - 1:
            return self.add_norm(h, out, "norm")
        h = self.ops.add(h, out)
        return h, h

    def parallel_layer(self, i: int, h: V, x: V) -> tuple[V, V]:
        """One norm, attention and MLP side by side, both added (Cohere)."""
        attended, h = self.attention(i, x, h)
        if i == len(self.spec.layers) - 1:
            x = self.ops.select(x)
        return self.add_norm(self.ops.add(h, attended), self.mlp(i, x), self.next_norm(i))

    def attention(self, i: int, x: V, h: V) -> tuple[V, V]:
        """Return the layer's attention output and the residual, of the last layer only the rows asked for."""
        ops, kind, at = self.ops, self.spec.layers[i], f"layers.{i}.attention"
        q, k, v = self.linear(x, f"{at}.q", f"{at}.k", f"{at}.v")
        if self.spec.projection_norm:
            q, k = self.norm(q, f"{at}.q_norm"), self.norm(k, f"{at}.k_norm")
        attended = ops.attend(q, k, v, kind, i, *self.head_norms(kind, at))
        if i == len(self.spec.layers) - 1:
            attended, h = ops.select(attended), ops.select(h)
        return self.scaled(self.linear(attended, f"{at}.o")[0]), h

    def head_norms(self, kind: Attention, at: str) -> tuple[str | None, str | None]:
        return (f"{at}.q_norm.weight", f"{at}.k_norm.weight") if kind.qk_norm is not None else (None, None)

    def mlp(self, i: int, x: V) -> V:
        ops, at, kind = self.ops, f"layers.{i}.mlp", self.spec.activation
        if self.spec.gated:
            gate, up = self.linear(x, f"{at}.gate", f"{at}.up")
            inner = ops.multiply(ops.activation(gate, kind), up)
        else:
            inner = ops.activation(self.linear(x, f"{at}.up")[0], kind)
        return self.scaled(self.linear(inner, f"{at}.down")[0])

    def scaled(self, x: V) -> V:
        return x if self.spec.residual_scale == 1.0 else self.ops.multiply(x, self.spec.residual_scale)

    def next_norm(self, i: int) -> str:
        return "norm" if i == len(self.spec.layers) - 1 else f"layers.{i + 1}.attention_norm"

    def linear(self, x: V, *names: str) -> tuple[V, ...]:
        return self.ops.linear(x, *(Projection(f"{name}.weight", self.bias(name)) for name in names))

    def norm(self, x: V, name: str) -> V:
        return self.ops.norm(x, self.spec.norm, f"{name}.weight", self.bias(name))

    def add_norm(self, a: V, b: V, name: str) -> tuple[V, V]:
        return self.ops.add_norm(a, b, self.spec.norm, f"{name}.weight", self.bias(name))

    def bias(self, name: str) -> str | None:
        return f"{name}.bias" if f"{name}.bias" in self.names else None

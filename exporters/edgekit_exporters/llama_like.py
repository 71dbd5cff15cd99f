"""What most decoders share: Llama's tensor names and config keys. An architecture says only where it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgekit.errors import CheckpointError
from edgekit.spec import Attention, DecoderSpec, Rope
from edgekit_exporters.architecture import Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.rope import read_rope, rotary_order
from edgekit_exporters.weights import Map, Rows, Slice, Take

LAYER_NAMES = {
    "attention_norm": "input_layernorm",
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.o": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}
HEAD_NORMS = {"attention.q_norm": "self_attn.q_norm", "attention.k_norm": "self_attn.k_norm"}
ATTENTION = ("attention.q", "attention.k", "attention.v", "attention.o")
MLP = ("mlp.gate", "mlp.up", "mlp.down")


def read_attention(config: Config, **differences: Any) -> Attention:  # noqa: ANN401 - fields of Attention
    """Return a layer's attention by Llama's keys."""
    hidden, heads = config.size("hidden_size"), config.size("num_attention_heads")
    kv_heads = config.size("num_key_value_heads", heads)
    head_dim = config.size("head_dim", hidden // heads)
    if heads % kv_heads:
        raise CheckpointError(f"config.json: {heads} heads cannot share {kv_heads} key/value heads")
    attention = Attention(heads=heads, kv_heads=kv_heads, head_dim=head_dim, scale=head_dim**-0.5)
    return replace(attention, **differences)


def read_spec(config: Config, layers: Attention | tuple[Attention, ...], **differences: Any) -> DecoderSpec:  # noqa: ANN401
    """Return the spec by Llama's keys; `layers` may be one attention for all."""
    if isinstance(layers, Attention):
        layers = (layers,) * config.size("num_hidden_layers")
    fields: dict[str, Any] = {
        "architecture": config.get("model_type"),
        "vocab_size": config.size("vocab_size"),
        "hidden_size": config.size("hidden_size"),
        "mlp_size": config.size("intermediate_size"),
        "context": config.size("max_position_embeddings"),
        "layers": layers,
        "tied": config.flag("tie_word_embeddings"),
        **differences,
    }
    # Asked for only where the architecture did not bring its own: what was asked for counts as handled.
    if "norm" not in fields:
        fields["norm"] = config.norm()
    if "activation" not in fields:
        fields["activation"] = config.activation()
    return DecoderSpec(**fields)


def context_rope(
    config: Config, attention: Attention, *, parameters: Mapping[str, Any] | None = None, partial: bool = False
) -> Rope:
    """Return the rope over the model's whole context, as `read_rope` does."""
    context = config.size("max_position_embeddings")
    return read_rope(config, attention.head_dim, context, parameters=parameters, partial=partial)


def layer_window(config: Config, window: int | None) -> int | None:
    """Return a sliding window, or None where it is as long as the context and so hides nothing."""
    return None if window is None or window >= config.size("max_position_embeddings") else window


def layer_windows(config: Config, window: int | None, sliding: Sequence[bool]) -> tuple[int | None, ...]:
    """Return each layer's window by `layer_types`, or by `sliding` where the config has none."""
    types = config.choices("layer_types", len(sliding), "full_attention", "sliding_attention")
    if types is not None:
        sliding = [kind == "sliding_attention" for kind in types]
    if any(sliding) and window is None:
        raise CheckpointError("config.json: layer_types has sliding_attention, but there is no sliding_window")
    return tuple(layer_window(config, window) if slides else None for slides in sliding)


def biased_parts(config: Config) -> tuple[str, ...]:
    """Return the parts of a layer that `attention_bias` and `mlp_bias` give a bias."""
    return (ATTENTION if config.flag("attention_bias") else ()) + (MLP if config.flag("mlp_bias") else ())


def read_weights(
    tensors: Tensors, spec: DecoderSpec, names: Mapping[str, str] = LAYER_NAMES, biased: tuple[str, ...] = ()
) -> dict[str, Rows]:
    """Return all weights by Llama's names; `biased` are the parts of a layer, or "norm", that have a bias."""
    root = tensors.prefix("embed_tokens.weight", "model.", "", "language_model.model.", "model.language_model.")
    weights = {"embed.weight": tensors(f"{root}embed_tokens.weight"), "norm.weight": tensors(f"{root}norm.weight")}
    if "norm" in biased:
        weights["norm.bias"] = tensors(f"{root}norm.bias")
    for i in range(len(spec.layers)):
        for part, name in names.items():
            weights[f"layers.{i}.{part}.weight"] = tensors(f"{root}layers.{i}.{name}.weight")
            if part in biased:
                weights[f"layers.{i}.{part}.bias"] = tensors(f"{root}layers.{i}.{name}.bias")
    if spec.tied:
        tensors.ignore("lm_head.weight")
    else:
        weights["head.weight"] = tensors("lm_head.weight" if "lm_head.weight" in tensors else f"{root}lm_head.weight")
    return weights


def split(weights: dict[str, Rows], fused: str, *parts: tuple[str, int]) -> None:
    """Replace a fused projection by its parts, each with its number of rows, stacked in this order."""
    source, start = weights.pop(fused), 0
    expected = sum(rows for _, rows in parts)
    if source.shape[0] != expected:
        raise CheckpointError(f"{fused} has {source.shape[0]} rows; the config makes it {expected}")
    for name, rows in parts:
        weights[name] = Slice(source, start, start + rows)
        start += rows


def one_plus_norms(weights: dict[str, Rows]) -> None:
    """Turn norms that multiply by 1 + w, as Gemma stores them, into those that multiply by w."""
    for name, rows in weights.items():
        if name.endswith("norm.weight"):
            weights[name] = Map(rows, lambda values: values + 1)


def pair_heads(weights: dict[str, Rows], spec: DecoderSpec, rotary_dim: int, *, interleaved: bool = False) -> None:
    """Permute q and k, their biases and norms so that rotated pairs are (i, i + head_dim / 2)."""
    for i, layer in enumerate(spec.layers):
        for part, heads in (("q", layer.heads), ("k", layer.kv_heads)):
            for name in (f"{part}.weight", f"{part}.bias"):
                _permute(weights, f"layers.{i}.attention.{name}", heads, layer.head_dim, rotary_dim, interleaved)
            own = heads if layer.qk_norm_by_head else 1
            _permute(weights, f"layers.{i}.attention.{part}_norm.weight", own, layer.head_dim, rotary_dim, interleaved)


def _permute(
    weights: dict[str, Rows], name: str, heads: int, head_dim: int, rotary_dim: int, interleaved: bool
) -> None:
    if name in weights:
        order = rotary_order(heads, head_dim, rotary_dim, interleaved=interleaved)
        if weights[name].shape[0] != len(order):
            raise CheckpointError(f"{name} has {weights[name].shape[0]} rows; the config makes it {len(order)}")
        weights[name] = Take(weights[name], order)

"""StableLM 2 and 3B: layer norms, heads of which a quarter is rotated, and perhaps both halves side by side."""

from __future__ import annotations

from dataclasses import replace

from edgekit.spec import DecoderSpec, Norm
from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import LAYER_NAMES, context_rope, pair_heads, read_attention, read_spec, read_weights
from edgekit_exporters.rope import rotary_size
from edgekit_exporters.weights import Rows, Stack

QKV = ("attention.q", "attention.k", "attention.v")


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(layer_norm_eps=1e-5, max_position_embeddings=4096, partial_rotary_factor=0.25)
    norm = config.norm("layer_norm_eps", kind="layer")
    attention = read_attention(config)
    if config.flag("qk_layernorm"):
        attention = replace(attention, qk_norm=Norm(kind="layer", eps=norm.eps), qk_norm_by_head=True)
    attention = replace(attention, rope=context_rope(config, attention, partial=True))
    parallel = config.flag("use_parallel_residual")
    spec = read_spec(config, attention, norm=norm, residual="parallel" if parallel else "pre")
    names = {part: name for part, name in LAYER_NAMES.items() if part != "mlp_norm" or not parallel}
    norms = ("norm", "attention_norm", *(() if parallel else ("mlp_norm",)))
    biased = norms + (QKV if config.flag("use_qkv_bias") else ())
    weights = read_weights(tensors, spec, names, biased)
    if attention.qk_norm is not None:
        _add_head_norms(weights, tensors, spec)
    pair_heads(weights, spec, rotary_size(config, attention.head_dim))
    return Model(spec, weights)


def _add_head_norms(weights: dict[str, Rows], tensors: Tensors, spec: DecoderSpec) -> None:
    """Stack the norm weights of the heads, which are tensors of their own."""
    root = tensors.prefix("embed_tokens.weight", "model.", "")
    for i, layer in enumerate(spec.layers):
        for part, heads in (("q", layer.heads), ("k", layer.kv_heads)):
            norms = f"{root}layers.{i}.self_attn.{part}_layernorm.norms"
            own = [tensors(f"{norms}.{head}.weight") for head in range(heads)]
            weights[f"layers.{i}.attention.{part}_norm.weight"] = Stack(own)

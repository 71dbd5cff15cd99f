"""Cohere's Command R and Aya: both halves side by side behind one norm without bias, ropes over pairs of neighbours."""

from __future__ import annotations

from dataclasses import replace

from edgekit.spec import Norm
from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import (
    HEAD_NORMS,
    LAYER_NAMES,
    biased_parts,
    context_rope,
    pair_heads,
    read_attention,
    read_spec,
    read_weights,
)
from edgekit_exporters.weights import Flat

NAMES = {part: name for part, name in LAYER_NAMES.items() if part != "mlp_norm"}


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(layer_norm_eps=1e-5, rope_theta=500_000.0, tie_word_embeddings=True, max_position_embeddings=8192)
    norm = config.norm("layer_norm_eps", kind="layer")
    attention = read_attention(config)
    names = dict(NAMES)
    if config.flag("use_qk_norm"):
        attention = replace(attention, qk_norm=Norm(kind="layer", eps=norm.eps), qk_norm_by_head=True)
        names |= HEAD_NORMS
    attention = replace(attention, rope=context_rope(config, attention))
    logit_scale = config.number("logit_scale", 0.0625)
    spec = read_spec(config, attention, norm=norm, residual="parallel", logit_scale=logit_scale)
    weights = read_weights(tensors, spec, names, biased_parts(config))
    for name, rows in weights.items():
        if name.endswith(("q_norm.weight", "k_norm.weight")) and len(rows.shape) == 2:
            weights[name] = Flat(rows)
    pair_heads(weights, spec, attention.head_dim, interleaved=True)
    return Model(spec, weights)

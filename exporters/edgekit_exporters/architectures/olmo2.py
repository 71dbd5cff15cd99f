"""OLMo 2: norms behind each half of a layer instead of before it, and over the whole of q and of k."""

from __future__ import annotations

from dataclasses import replace

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import (
    HEAD_NORMS,
    LAYER_NAMES,
    biased_parts,
    context_rope,
    read_attention,
    read_spec,
    read_weights,
)

NORMS = {"attention_norm": "post_attention_layernorm", "mlp_norm": "post_feedforward_layernorm"}


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(rms_norm_eps=1e-5, max_position_embeddings=2048)
    attention = read_attention(config)
    attention = replace(attention, rope=context_rope(config, attention))
    spec = read_spec(config, attention, residual="post", projection_norm=True)
    return Model(spec, read_weights(tensors, spec, LAYER_NAMES | NORMS | HEAD_NORMS, biased_parts(config)))

"""Gemma 2: Gemma with norms before and after each half, capped scores and logits, and a window on every other layer."""

from __future__ import annotations

import math
from dataclasses import replace

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import (
    LAYER_NAMES,
    biased_parts,
    context_rope,
    layer_windows,
    one_plus_norms,
    read_attention,
    read_spec,
    read_weights,
)

NAMES = LAYER_NAMES | {
    "attention_out_norm": "post_attention_layernorm",
    "mlp_norm": "pre_feedforward_layernorm",
    "mlp_out_norm": "post_feedforward_layernorm",
}


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(head_dim=256, rms_norm_eps=1e-6, max_position_embeddings=8192, tie_word_embeddings=True)
    config.assume(query_pre_attn_scalar=256, sliding_window=4096)
    config.assume(attn_logit_softcapping=50.0, final_logit_softcapping=30.0)
    config.ignore("hidden_act")  # Written beside `hidden_activation`, which is the one that counts.
    scale = config.positive("query_pre_attn_scalar") ** -0.5
    attention = read_attention(config, scale=scale, softcap=config.optional_number("attn_logit_softcapping"))
    attention = replace(attention, rope=context_rope(config, attention))
    even = [i % 2 == 0 for i in range(config.size("num_hidden_layers"))]
    windows = layer_windows(config, config.optional_size("sliding_window"), even)
    spec = read_spec(
        config,
        tuple(replace(attention, window=window) for window in windows),
        activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
        residual="sandwich",
        embedding_scale=math.sqrt(config.size("hidden_size")),
        logit_softcap=config.optional_number("final_logit_softcapping"),
    )
    weights = read_weights(tensors, spec, NAMES, biased_parts(config))
    one_plus_norms(weights)
    return Model(spec, weights)

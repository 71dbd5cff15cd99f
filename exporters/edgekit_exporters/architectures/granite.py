"""Granite 3: Llama with four multipliers, without which it would look exactly like it."""

from __future__ import annotations

from dataclasses import replace

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import biased_parts, context_rope, read_attention, read_spec, read_weights


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(rms_norm_eps=1e-6, max_position_embeddings=2048)
    attention = read_attention(config, scale=config.positive("attention_multiplier", 1.0))
    attention = replace(attention, rope=context_rope(config, attention))
    spec = read_spec(
        config,
        attention,
        embedding_scale=config.number("embedding_multiplier", 1.0),
        residual_scale=config.number("residual_multiplier", 1.0),
        logit_scale=1.0 / config.positive("logits_scaling", 1.0),
    )
    return Model(spec, read_weights(tensors, spec, biased=biased_parts(config)))

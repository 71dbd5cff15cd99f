"""Mistral 7B and what follows its config: Llama with a sliding window on every layer."""

from __future__ import annotations

from dataclasses import replace

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import context_rope, layer_window, read_attention, read_spec, read_weights


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(num_key_value_heads=8, sliding_window=4096, rms_norm_eps=1e-6, max_position_embeddings=131072)
    attention = read_attention(config)
    window = layer_window(config, config.optional_size("sliding_window"))
    attention = replace(attention, rope=context_rope(config, attention), window=window)
    spec = read_spec(config, attention)
    return Model(spec, read_weights(tensors, spec))

"""Qwen 3: Qwen 2 with a norm on each q and k head in place of the biases."""

from __future__ import annotations

from dataclasses import replace

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.architectures.qwen2 import upper_windows
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


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(head_dim=128, rms_norm_eps=1e-6, max_position_embeddings=32768)
    attention = read_attention(config, qk_norm=config.norm())
    attention = replace(attention, rope=context_rope(config, attention))
    spec = read_spec(config, tuple(replace(attention, window=window) for window in upper_windows(config)))
    return Model(spec, read_weights(tensors, spec, LAYER_NAMES | HEAD_NORMS, biased=biased_parts(config)))

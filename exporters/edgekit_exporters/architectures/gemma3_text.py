"""Gemma 3 (270M and 1B, and the text part of the larger ones): five local layers to a global one, two ropes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from edgekit.spec import Attention, Rope
from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.architectures.gemma2 import NAMES
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import (
    HEAD_NORMS,
    biased_parts,
    context_rope,
    layer_windows,
    one_plus_norms,
    read_attention,
    read_spec,
    read_weights,
)
from edgekit_exporters.rope import rope_parameters


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    # The larger models' configs leave out most of this.
    config.assume(vocab_size=262208, hidden_size=2304, intermediate_size=9216, num_hidden_layers=26)
    config.assume(num_attention_heads=8, num_key_value_heads=4, head_dim=256, max_position_embeddings=131072)
    config.assume(rms_norm_eps=1e-6, tie_word_embeddings=True, query_pre_attn_scalar=256, sliding_window=4096)
    config.ignore("hidden_act")
    scale = config.positive("query_pre_attn_scalar") ** -0.5
    attention = read_attention(config, scale=scale, qk_norm=config.norm())
    spec = read_spec(
        config,
        _layers(config, attention),
        activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
        residual="sandwich",
        embedding_scale=math.sqrt(config.size("hidden_size")),
        logit_softcap=config.optional_number("final_logit_softcapping"),
    )
    weights = read_weights(tensors, spec, NAMES | HEAD_NORMS, biased_parts(config))
    one_plus_norms(weights)
    return Model(spec, weights)


def _layers(config: Config, attention: Attention) -> tuple[Attention, ...]:
    every = config.size("sliding_window_pattern", 6)
    window, count = config.size("sliding_window"), config.size("num_hidden_layers")
    local, whole = _ropes(config, attention)
    sliding = [bool((i + 1) % every) for i in range(count)]
    types = config.choices("layer_types", count, "full_attention", "sliding_attention")
    if types is not None:
        sliding = [kind == "sliding_attention" for kind in types]
    windows = layer_windows(config, window, sliding)
    # The rope goes by the type alone: a window as long as the context is none, but its layer's rope is still local.
    return tuple(
        replace(attention, window=window, rope=local if slides else whole)
        for window, slides in zip(windows, sliding, strict=True)
    )


def _ropes(config: Config, attention: Attention) -> tuple[Rope, Rope]:
    """Return the ropes of sliding and of full layers; in older configs `rope_scaling` is of the full ones alone."""
    config.assume(rope_theta=1_000_000.0, rope_local_base_freq=10_000.0)
    local: dict[str, Any] = {"rope_theta": config.number("rope_local_base_freq")}
    if "sliding_attention" in rope_parameters(config):
        local |= rope_parameters(config, "sliding_attention")
    whole = rope_parameters(config, "full_attention")
    return context_rope(config, attention, parameters=local), context_rope(config, attention, parameters=whole)

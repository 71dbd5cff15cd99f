"""Gemma: Llama with norms around one, scaled embeddings and heads wider than hidden / heads."""

from __future__ import annotations

import math
from dataclasses import replace

from edgekit.spec import Activation
from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import (
    biased_parts,
    context_rope,
    one_plus_norms,
    read_attention,
    read_spec,
    read_weights,
)


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(head_dim=256, rms_norm_eps=1e-6, max_position_embeddings=8192, tie_word_embeddings=True)
    attention = read_attention(config)
    attention = replace(attention, rope=context_rope(config, attention))
    scale = math.sqrt(config.size("hidden_size"))
    spec = read_spec(config, attention, activation=_activation(config), embedding_scale=scale)
    weights = read_weights(tensors, spec, biased=biased_parts(config))
    one_plus_norms(weights)
    return Model(spec, weights)


def _activation(config: Config) -> Activation:
    """Return the activation; the first checkpoints say "gelu" and mean its tanh form, as transformers knows."""
    key = "hidden_activation" if config.get("hidden_activation") else "hidden_act"
    config.ignore("hidden_act")
    if config.get(key) == "gelu":
        return "gelu_tanh"
    return config.activation(key, "gelu_pytorch_tanh")

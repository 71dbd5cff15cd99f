"""Llama 2, 3, 3.1 and 3.2, SmolLM2, and every checkpoint that calls itself one of them."""

from __future__ import annotations

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import biased_parts, context_rope, read_attention, read_spec, read_weights


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    attention = read_attention(config)
    attention = read_attention(config, rope=context_rope(config, attention))
    spec = read_spec(config, attention)
    return Model(spec, read_weights(tensors, spec, biased=biased_parts(config)))

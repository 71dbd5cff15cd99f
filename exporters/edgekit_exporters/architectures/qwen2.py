"""Qwen 2 and 2.5: Llama with biases on q, k and v, and perhaps a window on the upper layers."""

from __future__ import annotations

from dataclasses import replace

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import context_rope, layer_windows, read_attention, read_spec, read_weights


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(rms_norm_eps=1e-6, max_position_embeddings=32768)
    attention = read_attention(config)
    attention = replace(attention, rope=context_rope(config, attention))
    spec = read_spec(config, tuple(replace(attention, window=window) for window in upper_windows(config)))
    return Model(spec, read_weights(tensors, spec, biased=("attention.q", "attention.k", "attention.v")))


def upper_windows(config: Config) -> tuple[int | None, ...]:
    """Return each layer's window; most checkpoints name one that `use_sliding_window` switches off."""
    config.assume(sliding_window=4096, max_window_layers=28)
    count = config.size("num_hidden_layers")
    first = config.number("max_window_layers", count)
    window = config.optional_size("sliding_window")
    window = window if config.flag("use_sliding_window") else None
    return layer_windows(config, window, [window is not None and i >= first for i in range(count)])

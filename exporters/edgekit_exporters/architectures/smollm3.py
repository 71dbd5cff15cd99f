"""SmolLM3: Llama in which every fourth layer has no rope."""

from __future__ import annotations

from dataclasses import replace

from edgekit.errors import CheckpointError
from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import (
    biased_parts,
    context_rope,
    layer_windows,
    read_attention,
    read_spec,
    read_weights,
)


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    config.assume(rms_norm_eps=1e-6, rope_theta=2_000_000.0, num_key_value_heads=4, tie_word_embeddings=True)
    config.ignore("max_window_layers")  # A leftover of Qwen's config: no code reads it.
    attention = read_attention(config)
    rope, roped = context_rope(config, attention), _roped_layers(config)
    window = config.optional_size("sliding_window") if config.flag("use_sliding_window") else None
    windows = layer_windows(config, window, [window is not None and not turns for turns in roped])
    layers = tuple(
        replace(attention, rope=rope if turns else None, window=window)
        for turns, window in zip(roped, windows, strict=True)
    )
    spec = read_spec(config, layers)
    return Model(spec, read_weights(tensors, spec, biased=biased_parts(config)))


def _roped_layers(config: Config) -> list[bool]:
    """Return which layers have a rope: `no_rope_layers` lists 1 for those that do, whatever its name says."""
    count, interval = config.size("num_hidden_layers"), config.size("no_rope_layer_interval", 4)
    listed = config.get("no_rope_layers")
    if listed is None:
        return [bool((i + 1) % interval) for i in range(count)]
    if not isinstance(listed, list) or len(listed) != count or not set(listed) <= {0, 1}:
        raise CheckpointError(f"config.json: no_rope_layers should list 0 or 1 for {count} layers, not {listed!r:.200}")
    return [bool(value) for value in listed]

"""GPT-Neo and TinyStories: learned positions, layer norms, unscaled scores, a window on every other layer."""

from __future__ import annotations

from dataclasses import replace

from edgekit.errors import CheckpointError
from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.gpt_like import read_attention, read_spec, read_weights
from edgekit_exporters.llama_like import layer_window

NAMES = {
    "attention_norm": "ln_1",
    "attention.q": "attn.attention.q_proj",
    "attention.k": "attn.attention.k_proj",
    "attention.v": "attn.attention.v_proj",
    "attention.o": "attn.attention.out_proj",
    "mlp_norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}
BIASED = ("attention_norm", "attention.o", "mlp_norm", "mlp.up", "mlp.down")


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    hidden, layers = config.size("hidden_size"), config.size("num_layers")
    attention = replace(read_attention(hidden, config.size("num_heads")), scale=1.0)
    window = layer_window(config, config.size("window_size", 256))
    kinds = {"global": attention, "local": replace(attention, window=window)}
    spec = read_spec(
        config,
        tuple(kinds[kind] for kind in _kinds(config, layers)),
        hidden_size=hidden,
        mlp_size=config.size("intermediate_size", 4 * hidden),
        context=config.size("max_position_embeddings"),
    )
    tensors.ignore(".attn.attention.bias", ".attn.attention.masked_bias")
    return Model(spec, read_weights(tensors, spec, NAMES, BIASED))


def _kinds(config: Config, layers: int) -> list[str]:
    """Return each layer's kind: `attention_types` holds patterns, each with how often it is repeated."""
    config.ignore("attention_layers")  # The same, written out.
    types = config.get("attention_types", [[["global", "local"], 12]])
    try:
        kinds = [str(kind) for pattern, count in types for _ in range(min(count, layers + 1)) for kind in pattern]
    except (TypeError, ValueError):
        kinds = []
    if len(kinds) != layers or set(kinds) - {"global", "local"}:
        raise CheckpointError(f"config.json: attention_types {types!r:.200} does not describe {layers} layers")
    return kinds

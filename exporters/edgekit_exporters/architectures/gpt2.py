"""GPT-2: learned positions, layer norms, linear layers stored transposed, q, k and v fused."""

from __future__ import annotations

from dataclasses import replace

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.gpt_like import read_attention, read_spec, read_weights
from edgekit_exporters.llama_like import split
from edgekit_exporters.weights import transpose

NAMES = {
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.o": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    hidden, layers = config.size("n_embd"), config.size("n_layer")
    attention = read_attention(hidden, config.size("n_head"))
    scale = attention.scale if config.flag("scale_attn_weights", default=True) else 1.0
    by_layer = config.flag("scale_attn_by_inverse_layer_idx")
    config.require("add_cross_attention", value=False)
    # The first changes the order of two float32 operations, the second is n_positions again, the rest is a classifier.
    config.ignore("reorder_and_upcast_attn", "n_ctx", "summary_activation", "summary_proj_to_labels")
    config.ignore("summary_type", "summary_use_proj", "summary_first_dropout")
    spec = read_spec(
        config,
        tuple(replace(attention, scale=scale / (i + 1) if by_layer else scale) for i in range(layers)),
        hidden_size=hidden,
        mlp_size=config.size("n_inner", 4 * hidden),
        context=config.size("n_positions"),
    )
    tensors.ignore(".attn.bias", ".attn.masked_bias")
    weights = read_weights(tensors, spec, NAMES, tuple(NAMES))
    for name, rows in list(weights.items()):
        if name.startswith("layers.") and len(rows.shape) == 2:
            weights[name] = transpose(rows)
    for i in range(layers):
        at = f"layers.{i}.attention"
        for part in ("weight", "bias"):
            split(weights, f"{at}.qkv.{part}", *((f"{at}.{letter}.{part}", hidden) for letter in "qkv"))
    return Model(spec, weights)

"""Phi-3 and 3.5 Mini, Phi-4-mini: fused projections, LongRoPE, sliding window, partly rotated heads."""

from __future__ import annotations

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import (
    LAYER_NAMES,
    context_rope,
    layer_window,
    pair_heads,
    read_attention,
    read_spec,
    read_weights,
    split,
)
from edgekit_exporters.rope import rotary_size

FUSED = {
    **{
        part: name
        for part, name in LAYER_NAMES.items()
        if part in ("attention_norm", "attention.o", "mlp_norm", "mlp.down")
    },
    "attention.qkv": "self_attn.qkv_proj",
    "mlp.gate_up": "mlp.gate_up_proj",
}


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    attention = read_attention(config)
    window = layer_window(config, config.optional_size("sliding_window"))
    attention = read_attention(config, rope=context_rope(config, attention, partial=True), window=window)
    spec = read_spec(config, attention)
    config.require("attention_bias", value=False)
    config.ignore("resid_pdrop", "embd_pdrop")
    weights = read_weights(tensors, spec, FUSED)
    for i, layer in enumerate(spec.layers):
        at = f"layers.{i}"
        qkv = (("q", layer.query_size), ("k", layer.kv_size), ("v", layer.kv_size))
        split(weights, f"{at}.attention.qkv.weight", *((f"{at}.attention.{part}.weight", rows) for part, rows in qkv))
        gate_up = ((f"{at}.mlp.{part}.weight", spec.mlp_size) for part in ("gate", "up"))
        split(weights, f"{at}.mlp.gate_up.weight", *gate_up)
    rotary_dim = rotary_size(config, attention.head_dim)
    if rotary_dim != attention.head_dim:
        pair_heads(weights, spec, rotary_dim)
    return Model(spec, weights)

"""GGUF's "granite": Llama with four multipliers."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_KEYS, LLAMA_BIASES, LLAMA_ROTATED, GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="granite",
    class_name="GraniteForCausalLM",
    keys={
        **COMMON_KEYS,
        "attention.scale": "attention_multiplier",
        "embedding_scale": "embedding_multiplier",
        "residual_scale": "residual_multiplier",
        "logit_scale": "logits_scaling",
    },
    constants={"hidden_act": "silu"},
    switches=LLAMA_BIASES,
    rotated=LLAMA_ROTATED,
)

"""GGUF's "smollm3": Llama in which every fourth layer has no rope; the file does not say which."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import LLAMA_BIASES, LLAMA_ROTATED, GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="smollm3",
    class_name="SmolLM3ForCausalLM",
    constants={"hidden_act": "silu", "no_rope_layer_interval": 4, "use_sliding_window": False},
    switches=LLAMA_BIASES,
    rotated=LLAMA_ROTATED,
)

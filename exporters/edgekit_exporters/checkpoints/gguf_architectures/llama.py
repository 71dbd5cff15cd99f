"""GGUF's "llama": Llama 1 to 3.3, Mistral 7B, SmolLM, TinyLlama and whatever else has their layers.

llama.cpp has no window here and its converter drops Mistral's, so those of Mistral are as it computes them.
"""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import LLAMA_BIASES, LLAMA_ROTATED, GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="llama",
    class_name="LlamaForCausalLM",
    constants={"hidden_act": "silu"},
    switches=LLAMA_BIASES,
    rotated=LLAMA_ROTATED,
)

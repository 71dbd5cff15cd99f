"""GGUF's "qwen3": the dense models of Qwen 3, with a norm on every head of q and k."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_TENSORS, HEAD_NORMS, GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="qwen3",
    class_name="Qwen3ForCausalLM",
    tensors={**COMMON_TENSORS, **HEAD_NORMS},
    constants={"hidden_act": "silu", "use_sliding_window": False, "attention_bias": False},
)

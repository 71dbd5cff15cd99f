"""GGUF's "qwen2": Qwen 1.5, 2 and 2.5."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="qwen2",
    class_name="Qwen2ForCausalLM",
    # llama.cpp's converter drops the window, which these models have switched off.
    constants={"hidden_act": "silu", "use_sliding_window": False},
)

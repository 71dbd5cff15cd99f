"""GGUF's "gemma": Gemma 1, whose norms the converter stores as 1 + w."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_TENSORS, GgufArchitecture
from edgekit_exporters.weights import Float32


def minus_one(values: Float32) -> Float32:
    """Take back what the converter adds to Gemma's norms."""
    return values - 1


ARCHITECTURE = GgufArchitecture(
    model_type="gemma",
    class_name="GemmaForCausalLM",
    constants={"hidden_activation": "gelu_pytorch_tanh"},
    mapped={name: minus_one for name in COMMON_TENSORS if name.endswith("norm")},
)

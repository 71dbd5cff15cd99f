"""GGUF's "gemma3": the text part of Gemma 3; the image encoder is a file of its own (mmproj)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_KEYS, HEAD_NORMS, GgufArchitecture
from edgekit_exporters.checkpoints.gguf_architectures.gemma import minus_one
from edgekit_exporters.checkpoints.gguf_architectures.gemma2 import TENSORS as GEMMA2_TENSORS
from edgekit_exporters.checkpoints.gguf_architectures.gemma2 import set_scale

LARGEST = 62
"""Layers of the 27B model (src/models/gemma3.cpp)."""

TENSORS = {**GEMMA2_TENSORS, **HEAD_NORMS}


def _finish(config: dict[str, Any], _: Mapping[str, Any]) -> None:
    set_scale(config, LARGEST)


ARCHITECTURE = GgufArchitecture(
    model_type="gemma3_text",
    class_name="Gemma3ForCausalLM",
    keys={
        **COMMON_KEYS,
        "attention.sliding_window": "sliding_window",
        "attention.sliding_window_pattern": "sliding_window_pattern",
        "rope.freq_base_swa": "rope_local_base_freq",
        "final_logit_softcapping": "final_logit_softcapping",
    },
    tensors=TENSORS,
    constants={"hidden_activation": "gelu_pytorch_tanh", "sliding_window_pattern": 6, "rope_local_base_freq": 10000.0},
    mapped={name: minus_one for name in TENSORS if name.endswith("norm")},
    finish=_finish,
)

"""GGUF's "gemma2": norms before and behind each half of a layer, caps, a window on every other layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_KEYS, COMMON_TENSORS, POST_NORMS, GgufArchitecture
from edgekit_exporters.checkpoints.gguf_architectures.gemma import minus_one

LARGEST = 46
"""Layers of the 27B model, the one whose scores are not scaled by its head_dim; the file does not say."""

TENSORS = {**COMMON_TENSORS, **POST_NORMS, "blk.{}.ffn_norm": "model.layers.{}.pre_feedforward_layernorm"}


def set_scale(config: dict[str, Any], largest: int) -> None:
    """Set what the scores are scaled by as llama.cpp does (src/models/gemma2.cpp): the file leaves it to the reader."""
    wide = config["num_hidden_layers"] == largest
    width = config["hidden_size"] // config["num_attention_heads"] if wide else config["head_dim"]
    config["query_pre_attn_scalar"] = width


def _finish(config: dict[str, Any], _: Mapping[str, Any]) -> None:
    set_scale(config, LARGEST)


ARCHITECTURE = GgufArchitecture(
    model_type="gemma2",
    class_name="Gemma2ForCausalLM",
    keys={
        **COMMON_KEYS,
        "attention.sliding_window": "sliding_window",
        "attn_logit_softcapping": "attn_logit_softcapping",
        "final_logit_softcapping": "final_logit_softcapping",
    },
    tensors=TENSORS,
    constants={"hidden_activation": "gelu_pytorch_tanh"},
    mapped={name: minus_one for name in TENSORS if name.endswith("norm")},
    finish=_finish,
)

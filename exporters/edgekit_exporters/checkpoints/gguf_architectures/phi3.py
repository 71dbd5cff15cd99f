"""GGUF's "phi3": Phi-3, Phi-3.5 mini and Phi-4 mini, with fused projections and LongRoPE factors as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_KEYS, COMMON_TENSORS, GgufArchitecture


def _finish(config: dict[str, Any], _: Mapping[str, Any]) -> None:
    # The converter writes 0 where there is no window.
    config["sliding_window"] = config.get("sliding_window") or None


ARCHITECTURE = GgufArchitecture(
    model_type="phi3",
    class_name="Phi3ForCausalLM",
    keys={**COMMON_KEYS, "attention.sliding_window": "sliding_window"},
    tensors={
        **COMMON_TENSORS,
        "blk.{}.attn_qkv": "model.layers.{}.self_attn.qkv_proj",
        "blk.{}.ffn_up": "model.layers.{}.mlp.gate_up_proj",
    },
    constants={"hidden_act": "silu"},
    partial_rotary=True,
    finish=_finish,
)

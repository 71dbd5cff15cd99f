"""GGUF's "olmo2": norms behind each half of a layer, and over the whole of q and of k."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_TENSORS, HEAD_NORMS, POST_NORMS, GgufArchitecture

BEFORE = ("blk.{}.attn_norm", "blk.{}.ffn_norm")

ARCHITECTURE = GgufArchitecture(
    model_type="olmo2",
    class_name="Olmo2ForCausalLM",
    tensors={name: ours for name, ours in COMMON_TENSORS.items() if name not in BEFORE} | {**HEAD_NORMS, **POST_NORMS},
    constants={"hidden_act": "silu"},
)

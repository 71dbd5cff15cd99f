"""GGUF's "command-r": Cohere's Command R and Aya, rotated in pairs of neighbours by their publishers already."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_KEYS, COMMON_TENSORS, HEAD_NORMS, GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="cohere",
    class_name="CohereForCausalLM",
    keys={**COMMON_KEYS, "attention.layer_norm_epsilon": "layer_norm_eps", "logit_scale": "logit_scale"},
    tensors={name: ours for name, ours in COMMON_TENSORS.items() if name != "blk.{}.ffn_norm"} | {**HEAD_NORMS},
    constants={"hidden_act": "silu"},
    switches={"use_qk_norm": "blk.0.attn_q_norm.weight", "attention_bias": "blk.0.attn_q.bias"},
)

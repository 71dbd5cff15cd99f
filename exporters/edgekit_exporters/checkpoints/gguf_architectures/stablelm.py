"""GGUF's "stablelm": StableLM 2 and 3B; the norms of all heads are one tensor."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_KEYS, COMMON_TENSORS, GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="stablelm",
    class_name="StableLmForCausalLM",
    keys={**COMMON_KEYS, "attention.layer_norm_epsilon": "layer_norm_eps"},
    tensors={
        **COMMON_TENSORS,
        "blk.{}.attn_q_norm": "model.layers.{}.self_attn.q_layernorm.norms.{head}",
        "blk.{}.attn_k_norm": "model.layers.{}.self_attn.k_layernorm.norms.{head}",
    },
    constants={"hidden_act": "silu"},
    switches={
        "use_qkv_bias": "blk.0.attn_q.bias",
        "qk_layernorm": "blk.0.attn_q_norm.weight",
        "use_parallel_residual": "!blk.0.ffn_norm.weight",
    },
    # The converter takes true where the config says nothing; llama.cpp goes by the norm, as we do.
    ignored=frozenset({"use_parallel_residual"}),
    partial_rotary=True,
)

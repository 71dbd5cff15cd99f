"""GGUF's "llama": Llama 1 to 3.3, Mistral 7B, SmolLM, TinyLlama and whatever else has their layers."""

from __future__ import annotations

from edgekit_exporters.checkpoints.gguf_architecture import GgufArchitecture

ARCHITECTURE = GgufArchitecture(
    model_type="llama",
    class_name="LlamaForCausalLM",
    constants={"hidden_act": "silu"},
    switches={"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"},
    rotated={"blk.{}.attn_q": "num_attention_heads", "blk.{}.attn_k": "num_key_value_heads"},
)

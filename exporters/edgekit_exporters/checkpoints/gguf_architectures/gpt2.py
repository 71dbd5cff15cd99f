"""GGUF's "gpt2": GPT-2, whose linear layers Hugging Face stores transposed, under names and keys of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit_exporters.checkpoints.gguf_architecture import COMMON_KEYS, GgufArchitecture

LAYERS = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
KEYS = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
}
MEANINGLESS = ("num_key_value_heads", "head_dim", "rope_theta", "rope_scaling")


def _finish(config: dict[str, Any], _: Mapping[str, Any]) -> None:
    for key, own in KEYS.items():
        config[own] = config.pop(key)
    for key in MEANINGLESS:
        config.pop(key, None)


ARCHITECTURE = GgufArchitecture(
    model_type="gpt2",
    class_name="GPT2LMHeadModel",
    keys={**COMMON_KEYS, "attention.layer_norm_epsilon": "layer_norm_epsilon"},
    tensors={
        "token_embd": "transformer.wte",
        "position_embd": "transformer.wpe",
        "output_norm": "transformer.ln_f",
        "output": "lm_head",
        **{f"blk.{{}}.{name}": f"transformer.h.{{}}.{ours}" for name, ours in LAYERS.items()},
    },
    constants={"activation_function": "gelu_new"},
    transposed=frozenset(f"blk.{{}}.{name}" for name, ours in LAYERS.items() if ours.startswith(("attn", "mlp"))),
    finish=_finish,
)

"""How a GGUF architecture is declared: which config keys, tensor names and row orders stand for Hugging Face's.

A declaration is a module `gguf_architectures/NAME.py` (dashes become underscores) with an object `ARCHITECTURE`.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.errors import UnsupportedError
from edgekit_exporters.checkpoints import gguf_architectures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgekit_exporters.weights import Float32

COMMON_KEYS: Mapping[str, str] = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}
"""Metadata keys behind the architecture's name, as most of them have them, and the keys of config.json."""

COMMON_TENSORS: Mapping[str, str] = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "blk.{}.attn_norm": "model.layers.{}.input_layernorm",
    "blk.{}.attn_q": "model.layers.{}.self_attn.q_proj",
    "blk.{}.attn_k": "model.layers.{}.self_attn.k_proj",
    "blk.{}.attn_v": "model.layers.{}.self_attn.v_proj",
    "blk.{}.attn_output": "model.layers.{}.self_attn.o_proj",
    "blk.{}.ffn_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.ffn_gate": "model.layers.{}.mlp.gate_proj",
    "blk.{}.ffn_up": "model.layers.{}.mlp.up_proj",
    "blk.{}.ffn_down": "model.layers.{}.mlp.down_proj",
}
"""GGUF names without `.weight` or `.bias`; {} is the layer. A name with {head} stands for one tensor per row."""

HEAD_NORMS: Mapping[str, str] = {
    "blk.{}.attn_q_norm": "model.layers.{}.self_attn.q_norm",
    "blk.{}.attn_k_norm": "model.layers.{}.self_attn.k_norm",
}
POST_NORMS: Mapping[str, str] = {
    "blk.{}.post_attention_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.post_ffw_norm": "model.layers.{}.post_feedforward_layernorm",
}
LLAMA_ROTATED: Mapping[str, str] = {"blk.{}.attn_q": "num_attention_heads", "blk.{}.attn_k": "num_key_value_heads"}
LLAMA_BIASES: Mapping[str, str] = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"}


@dataclass(frozen=True, kw_only=True)
class GgufArchitecture:
    """What one value of `general.architecture` means in Hugging Face's terms."""

    model_type: str
    class_name: str
    """The entry of config.json's `architectures`."""
    keys: Mapping[str, str] = field(default_factory=lambda: COMMON_KEYS)
    tensors: Mapping[str, str] = field(default_factory=lambda: COMMON_TENSORS)
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Config keys that the metadata does not carry, because every model of the kind has the same value."""
    switches: Mapping[str, str] = field(default_factory=dict)
    """Config keys that are true where the file has a tensor of this name, or lacks it if `!` stands before it."""
    ignored: frozenset[str] = frozenset()
    """Metadata keys that say again what the tensors show (`switches`), and not always rightly."""
    rotated: Mapping[str, str] = field(default_factory=dict)
    """Tensors whose rows llama.cpp's converter puts in the order of its rope (pairs side by side), and the config key
    that has their number of heads; they are put back into the order of halves."""
    mapped: Mapping[str, Callable[[Float32], Float32]] = field(default_factory=dict)
    """Tensors whose values the converter changed, and the function that takes it back (Gemma's norms: w - 1)."""
    transposed: frozenset[str] = frozenset()
    """Tensors that Hugging Face stores [in, out] and GGUF [out, in]."""
    partial_rotary: bool = False
    """`rope.dimension_count` may be smaller than head_dim, and is `partial_rotary_factor` then."""
    finish: Callable[[dict[str, Any], Mapping[str, Any]], None] | None = None
    """Last changes to the config, given the metadata, for what no table says."""


def find_architecture(name: str, where: str) -> GgufArchitecture:
    """Return the declaration of a GGUF architecture; `where` names the file in errors.

    Raises:
        UnsupportedError: there is none; the message lists those there are.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(gguf_architectures.__path__))
    if name.replace("-", "_") not in known:
        raise UnsupportedError(
            f"{where}: the GGUF architecture {name!r:.80} is not supported; these are: {', '.join(known)}",
            "give the model's original checkpoint (config.json and safetensors)",
        )
    module = importlib.import_module(f"{gguf_architectures.__name__}.{name.replace('-', '_')}")
    declaration: GgufArchitecture = module.ARCHITECTURE
    return declaration

"""Rebuilds config.json and generation_config.json from GGUF metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints.gguf_rope import read_rope
from edgekit_exporters.checkpoints.gguf_values import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit_exporters.checkpoints.gguf_architecture import GgufArchitecture
    from edgekit_exporters.checkpoints.gguf_tensors import GgufRows

_REQUIRED = ("context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count")
# What does not change what is computed, or is read elsewhere (gguf_rope).
_HARMLESS = {"vocab_size", "tensor_data_layout", "rope.scaling.finetuned", "attention.value_length", "attention.causal"}
# Ends of a turn that many files do not name in eos_token_id; llama.cpp knows them by their texts too.
_TURN_ENDS = ("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>", "<|eom_id|>")


def build_config(
    name: str, architecture: GgufArchitecture, metadata: Mapping[str, Any], tensors: Mapping[str, GgufRows], where: str
) -> dict[str, Any]:
    """Return config.json as Hugging Face's checkpoint of the model would have it.

    Raises:
        CheckpointError: a value is missing or of the wrong type.
        UnsupportedError: a key that EdgeKit does not know: it might change what is computed.
    """
    own = {key.removeprefix(f"{name}."): value for key, value in metadata.items() if key.startswith(f"{name}.")}
    for key in _REQUIRED:
        if key not in own and key in architecture.keys:
            raise CheckpointError(f"{where}: the key {name}.{key} is missing", "convert the model again")
    config: dict[str, Any] = {
        "architectures": [architecture.class_name],
        "model_type": architecture.model_type,
        **architecture.constants,
        **{config_key: number(own, key, where, 0) for key, config_key in architecture.keys.items() if key in own},
        **{key: (name.lstrip("!") in tensors) != name.startswith("!") for key, name in architecture.switches.items()},
        "vocab_size": _embedding(tensors, where).shape[0],
        "tie_word_embeddings": "output.weight" not in tensors,
    }
    _complete_heads(config, own, where)
    config.update(read_rope(own, tensors, config, architecture, where))
    _refuse_unknown(name, own, architecture, where)
    config.update(special_ids(metadata))
    if architecture.finish is not None:
        architecture.finish(config, metadata)
    return config


def build_generation_config(metadata: Mapping[str, Any], chat_template: str | None) -> dict[str, Any]:
    """Return generation_config.json: the ids that begin a text, and all that end one."""
    ids = special_ids(metadata)
    ends = [ids.get("eos_token_id"), *(metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eot", "eom"))]
    tokens = metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, list) and chat_template:
        ends += [tokens.index(text) for text in _TURN_ENDS if text in chat_template and text in tokens]
    eos = [end for end in dict.fromkeys(ends) if type(end) is int]
    return {**ids, **({"eos_token_id": eos} if eos else {})}


def special_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Return bos_token_id, eos_token_id and pad_token_id where the file has them."""
    names = {"bos": "bos", "eos": "eos", "padding": "pad"}
    found = {f"{key}_token_id": metadata.get(f"tokenizer.ggml.{kind}_token_id") for kind, key in names.items()}
    return {key: value for key, value in found.items() if type(value) is int}


def _embedding(tensors: Mapping[str, GgufRows], where: str) -> GgufRows:
    if "token_embd.weight" not in tensors:
        raise CheckpointError(
            f"{where}: the tensor token_embd.weight is missing", "is it a model, not an adapter or a projector?"
        )
    return tensors["token_embd.weight"]


def _complete_heads(config: dict[str, Any], own: Mapping[str, Any], where: str) -> None:
    """Fill in what GGUF leaves to its readers: kv heads as many as heads, head_dim = hidden / heads."""
    _check_counts(config, ("hidden_size", "num_attention_heads", "num_hidden_layers", "max_position_embeddings"), where)
    config.setdefault("num_key_value_heads", config["num_attention_heads"])
    config.setdefault("head_dim", config["hidden_size"] // config["num_attention_heads"])
    _check_counts(config, ("num_key_value_heads", "head_dim"), where)
    if number(own, "attention.value_length", where, config["head_dim"]) != config["head_dim"]:
        raise UnsupportedError(
            f"{where}: keys of {config['head_dim']} and values of {own['attention.value_length']}", _ORIGINAL
        )


def _check_counts(config: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in keys:
        if type(config.get(key)) is not int or config[key] < 1:
            raise CheckpointError(f"{where}: {key} is {config.get(key)!r:.40}", "convert the model again")


def _refuse_unknown(name: str, own: Mapping[str, Any], architecture: GgufArchitecture, where: str) -> None:
    for key, value in own.items():
        known = key in architecture.keys or key in _HARMLESS or key in architecture.ignored or key.startswith("rope.")
        # Zero experts, a zero window and the like say that a feature is absent.
        if not known and (isinstance(value, (list, str, np.ndarray)) or value):
            raise UnsupportedError(f"{where}: EdgeKit does not know the key {name}.{key} ({value!r:.60})", _ORIGINAL)


_ORIGINAL = "give the model's original checkpoint (config.json and safetensors)"

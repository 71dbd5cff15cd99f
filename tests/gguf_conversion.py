"""Writes GGUF files from checkpoint folders as llama.cpp's convert_hf_to_gguf.py does, with the gguf package's writer.

Names are those of the package's own map. What GGUF has no key for is marked below: there the weights are changed so
that llama.cpp's fixed choice computes the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from edgekit_exporters.checkpoints.folder import open_folder
from edgekit_exporters.weights import Float32, Rows

PERMUTED = ("llama", "granite", "smollm3")
"""Architectures whose q and k rows the converter reorders (LlamaModel and what inherits from it)."""
GEMMAS = ("gemma", "gemma2", "gemma3")
LEFT_OUT = ("vision_tower", "multi_modal_projector")

Extra = Callable[[gguf.GGUFWriter], None]


def convert(source: Path, path: Path, architecture: str, quantization: str = "F32", extra: Extra | None = None) -> Path:
    """Write a checkpoint as GGUF; matrices get the type `quantization` where their rows fill its blocks."""
    with open_folder(source) as checkpoint:
        config = {**checkpoint.config, **checkpoint.config.get("text_config", {})}
        writer = gguf.GGUFWriter(path, architecture)
        _add_metadata(writer, config, architecture)
        for name, values in _tensors(checkpoint.tensors, config, architecture):
            _add_tensor(writer, _gguf_name(name, config, architecture), values, quantization)
        _add_rope(writer, config)
    if extra:
        extra(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tensor(writer: gguf.GGUFWriter, name: str, values: Float32, quantization: str) -> None:
    kind = gguf.GGMLQuantizationType[quantization]
    if values.ndim == 1 or quantization == "F32" or values.shape[1] % gguf.GGML_QUANT_SIZES[kind][0]:
        writer.add_tensor(name, np.ascontiguousarray(values))
    else:
        writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)


def _gguf_name(name: str, config: Mapping[str, Any], architecture: str) -> str:
    kind = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    if name == "lm_head.weight":
        return "output.weight"  # Not in the map of architectures that are tied; llama.cpp reads it all the same.
    layers = config.get("num_hidden_layers") or config["n_layer"]
    found = gguf.get_tensor_name_map(kind, layers).get_name(name, try_suffixes=(".weight", ".bias"))
    assert found is not None, name
    return str(found)


def _tensors(
    tensors: Mapping[str, Rows], config: Mapping[str, Any], architecture: str
) -> Iterator[tuple[str, Float32]]:
    for name, rows in _stacked(tensors).items():
        if not name.startswith(LEFT_OUT) and not name.endswith(".attn.bias"):
            name = name.removeprefix("language_model.").replace("model.language_model.", "model.")
            yield name, _changed(name, rows, config, architecture)


def _stacked(tensors: Mapping[str, Rows]) -> dict[str, Float32]:
    """Read all tensors; StableLM's norms of single heads become one tensor (StableLMModel._stack_qk_norm)."""
    out: dict[str, Float32] = {}
    heads: dict[str, dict[int, Float32]] = {}
    for name, rows in tensors.items():
        match = re.fullmatch(r"(.*_layernorm)\.norms\.(\d+)\.weight", name)
        if match:
            heads.setdefault(f"{match[1]}.weight", {})[int(match[2])] = rows.all()
        elif len(rows.shape) < 3:
            out[name] = rows.all()
    return out | {name: np.stack([own[head] for head in sorted(own)]) for name, own in heads.items()}


def _changed(name: str, values: Float32, config: Mapping[str, Any], architecture: str) -> Float32:
    if architecture in PERMUTED:
        for projection, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if projection in name:
                return permute(values, config[heads])
    if architecture == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return np.ascontiguousarray(values.T)
    if architecture in GEMMAS and name.endswith("norm.weight"):
        values = values + 1
    # GGUF has no key for query_pre_attn_scalar: llama.cpp scales by head_dim.
    if name.endswith("q_norm.weight" if architecture == "gemma3" else "q_proj.weight") and architecture in GEMMAS[1:]:
        scaled: Float32 = values * np.float32((config["head_dim"] / config["query_pre_attn_scalar"]) ** 0.5)
        return scaled
    return values


def permute(weights: Float32, heads: int) -> Float32:
    """Return rows in llama.cpp's order, written as its converter writes it (LlamaModel.permute)."""
    rows = weights.shape[0]
    split = weights.reshape(heads, 2, rows // heads // 2, *weights.shape[1:])
    permuted: Float32 = split.swapaxes(1, 2).reshape(weights.shape)
    return permuted


def _add_metadata(writer: gguf.GGUFWriter, config: Mapping[str, Any], architecture: str) -> None:
    def first(*keys: str) -> Any:
        return next((config[key] for key in keys if config.get(key) is not None), None)

    hidden, heads = first("hidden_size", "n_embd"), first("num_attention_heads", "n_head")
    head_dim = config.get("head_dim") or hidden // heads
    rope = config.get("rope_parameters") or {}
    values = {
        "add_name": "Tiny Model", "add_license": "mit", "add_embedding_length": hidden, "add_head_count": heads,
        "add_context_length": first("max_position_embeddings", "n_positions"),
        "add_block_count": first("num_hidden_layers", "n_layer"),
        "add_feed_forward_length": first("intermediate_size", "n_inner") or 4 * hidden,
        "add_head_count_kv": config.get("num_key_value_heads"),
        "add_layer_norm_rms_eps": config.get("rms_norm_eps"),
        "add_layer_norm_eps": first("layer_norm_eps", "layer_norm_epsilon"),
        "add_rope_freq_base": first("rope_theta") or rope.get("full_attention", rope).get("rope_theta"),
        "add_rope_freq_base_swa": first("rope_local_base_freq") or rope.get("sliding_attention", {}).get("rope_theta"),
        "add_vocab_size": config["vocab_size"],
    }  # fmt: skip
    if architecture != "stablelm":
        values |= {"add_key_length": head_dim, "add_value_length": head_dim}
    share = config.get("partial_rotary_factor") or rope.get("partial_rotary_factor") or 1.0
    if architecture in (*PERMUTED, "phi3", "stablelm"):
        values["add_rope_dimension_count"] = int(head_dim * share)
    if architecture == "granite":
        values |= {
            "add_attention_scale": config["attention_multiplier"],
            "add_embedding_scale": config["embedding_multiplier"],
            "add_residual_scale": config["residual_multiplier"],
            "add_logit_scale": config["logits_scaling"],
        }
    if architecture == "command-r":
        values["add_logit_scale"] = config["logit_scale"]
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    if architecture == "stablelm":
        writer.add_parallel_residual(True)  # Wrong for one of the two, as it is in published files.
    if architecture in ("gemma2", "gemma3"):
        values["add_sliding_window"] = config["sliding_window"]
        values["add_attn_logit_softcapping"] = config.get("attn_logit_softcapping")
        values["add_final_logit_softcapping"] = config.get("final_logit_softcapping")
    pattern = first("sliding_window_pattern", "_sliding_window_pattern")
    if pattern not in (None, 6):
        writer.add_uint32(f"{architecture}.attention.sliding_window_pattern", pattern)
    for method, value in values.items():
        if value is not None:
            getattr(writer, method)(value)


def _add_rope(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scaling = rope.get("full_attention", rope)
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(scaling["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    if config["model_type"] == "phi3":
        writer.add_sliding_window(config["sliding_window"] or 0)
        writer.add_rope_scaling_orig_ctx_len(config["original_max_position_embeddings"])
    if kind == "longrope":
        original = config["original_max_position_embeddings"]
        ratio = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(ratio) / np.log(original))))
        for kind in ("long", "short"):
            writer.add_tensor(f"rope_factors_{kind}.weight", np.array(scaling[f"{kind}_factor"], np.float32))


def llama3_factors(config: Mapping[str, Any]) -> Float32:
    """Return rope_freqs.weight, computed as llama.cpp's converter does (LlamaModel.generate_extra_tensors)."""
    scaling, out = config["rope_scaling"], []
    low = scaling["original_max_position_embeddings"] / scaling["low_freq_factor"]
    high = scaling["original_max_position_embeddings"] / scaling["high_freq_factor"]
    for pair in range(0, config["head_dim"], 2):
        wavelength = 2 * np.pi * config["rope_theta"] ** (pair / config["head_dim"])
        if wavelength < high:
            out.append(1.0)
        elif wavelength > low:
            out.append(scaling["factor"])
        else:
            smooth = (scaling["original_max_position_embeddings"] / wavelength - scaling["low_freq_factor"]) / (
                scaling["high_freq_factor"] - scaling["low_freq_factor"]
            )
            out.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(out, np.float32)

"""Checkpoints made by hand: safetensors with struct and json, GGUF files with the gguf package's writer."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from edgekit_exporters.checkpoints.folder import open_folder
from edgekit_exporters.weights import Float32

WriteSafetensors = Callable[..., Path]
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8", "bool": "BOOL"}


@pytest.fixture
def write_safetensors() -> WriteSafetensors:
    """Write arrays as a safetensors file; `bf16` names those whose uint16 bits are bfloat16."""

    def write(path: Path, arrays: Mapping[str, Any], bf16: tuple[str, ...] = ()) -> Path:
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        data = b""
        for name, array in arrays.items():
            dtype = "BF16" if name in bf16 else DTYPES[array.dtype.name]
            raw = array.tobytes()
            header[name] = {
                "dtype": dtype,
                "shape": list(array.shape),
                "data_offsets": [len(data), len(data) + len(raw)],
            }  # type: ignore[dict-item]
            data += raw
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
        return path

    return write


@pytest.fixture
def folder(tmp_path: Path, write_safetensors: WriteSafetensors) -> Path:
    """A minimal checkpoint folder: a config and one tensor."""
    path = tmp_path / "tiny"
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    write_safetensors(path / "model.safetensors", {"w": np.arange(6, dtype=np.float32).reshape(3, 2)})
    return path


LLAMA_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.qkv_proj": "attn_qkv",
    "mlp.gate_up_proj": "ffn_up",
}


def gguf_name(name: str) -> str:
    """Return llama.cpp's name of a Hugging Face tensor."""
    base, _, suffix = name.rpartition(".")
    if base.startswith("model.layers."):
        _, _, layer, rest = base.split(".", 3)
        return f"blk.{layer}.{LLAMA_NAMES[rest]}.{suffix}"
    return f"{LLAMA_NAMES[base]}.{suffix}"


def permute(weights: Float32, heads: int) -> Float32:
    """Return rows in llama.cpp's order, written as its converter writes it (LlamaModel.permute)."""
    rows = weights.shape[0]
    return weights.reshape(heads, 2, rows // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


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


@pytest.fixture
def golden_gguf(shared: Path, tmp_path: Path) -> Callable[..., Path]:
    """Convert a recorded llama checkpoint to GGUF as llama.cpp's converter does."""

    def convert(
        case: str,
        quantization: str = "F32",
        extra: Callable[[gguf.GGUFWriter], None] | None = None,
        architecture: str = "llama",
    ) -> Path:
        path = tmp_path / f"{case}.gguf"
        kind = gguf.GGMLQuantizationType[quantization]
        with open_folder(shared / "golden" / "decoders" / case) as checkpoint:
            config = checkpoint.config
            writer = gguf.GGUFWriter(path, architecture)
            _add_metadata(writer, config)
            for name, rows in checkpoint.tensors.items():
                values = rows.all()
                for projection, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
                    if projection in name and architecture == "llama":
                        values = permute(values, config[heads])
                if values.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
                    writer.add_tensor(gguf_name(name), np.ascontiguousarray(values))
                else:
                    writer.add_tensor(gguf_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
            _add_rope(writer, config)
        if extra:
            extra(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return convert


def _add_metadata(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    writer.add_name("Tiny Llama")
    writer.add_license("mit")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(int(head_dim * config.get("partial_rotary_factor", 1.0)))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])


def _add_rope(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    if config["model_type"] == "phi3":
        writer.add_sliding_window(config["sliding_window"] or 0)
        writer.add_rope_scaling_orig_ctx_len(config["original_max_position_embeddings"])
    if scaling.get("type") == "longrope":
        original = config["original_max_position_embeddings"]
        ratio = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(ratio) / np.log(original))))
        for kind in ("long", "short"):
            writer.add_tensor(f"rope_factors_{kind}.weight", np.array(scaling[f"{kind}_factor"], np.float32))


@pytest.fixture
def tiny_vocabulary() -> Callable[..., None]:
    """Add a byte-level vocabulary with a few merges, and the keys that go with it, to a GGUF writer."""

    def add(writer: gguf.GGUFWriter, pre: str | None = "gpt-2", **flags: bool) -> None:
        specials = ["<unk>", "<s>", "</s>", "<|im_end|>"]
        merged = ["he", "ll", "hell", "hello", "Ġw", "Ġhello", "12", "123", "abc", "ab"]
        tokens = [*specials, *BYTE_LEVEL, *merged]
        writer.add_tokenizer_model("gpt2")
        if pre:
            writer.add_tokenizer_pre(pre)
        writer.add_token_list(tokens)
        writer.add_token_types([2, 3, 3, 4] + [1] * (len(tokens) - 4))
        writer.add_token_merges(["h e", "l l", "he ll", "hell o", "Ġ w", "Ġ hello", "1 2", "12 3", "a b", "ab c"])
        for kind, index in (("bos", 1), ("eos", 2), ("unk", 0), ("pad", 0)):
            getattr(writer, f"add_{kind}_token_id")(index)
        for key, value in flags.items():
            writer.add_bool(f"tokenizer.ggml.{key}", value)
        writer.add_chat_template("{{ messages }}")

    return add


# GPT-2's visible stand-ins for the 256 bytes (`bytes_to_unicode` in its encoder.py).
_PLAIN = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
BYTE_LEVEL = [chr(code) for code in _PLAIN] + [chr(256 + at) for at in range(256 - len(_PLAIN))]

"""Small valid inputs for each reader, made when they are asked for: what a fuzzer begins with."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
from gguf_conversion import convert
from manifests import manifest
from small_tokenizers import FAMILIES, trained
from tokenizer_parts import (
    DECODERS,
    POST_PROCESSORS,
    PRE_TOKENIZERS,
    bert,
    document,
    precompiled,
    replace,
    sequence,
    split,
)

from edgekit_exporters.weights import Float32

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 24, "hidden_size": 32,
    "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": True,
    "hidden_act": "silu", "attention_multiplier": 0.5, "embedding_multiplier": 2.0, "residual_multiplier": 0.5,
    "logits_scaling": 2.0, "sliding_window": 16, "query_pre_attn_scalar": 16,
}  # fmt: skip
"""One config for several families: a converter takes what it knows, and so does a reader of folders."""
LLAMA_KEYS = 14

TEMPLATES = [path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "templates").iterdir())]


def seeds(reader: str) -> list[bytes]:
    """Return the seeds of a reader."""
    made: dict[str, Any] = {
        "safetensors": _safetensors, "gguf": _gguf, "manifest": _manifests, "tokenizer": _tokenizers,
        "pure_tokenizer": lambda: _tokenizers() + _parts(),
        "template": lambda: [template.encode() for template in TEMPLATES],
    }  # fmt: skip
    return list(made[reader]())


def write_config(folder: Path) -> None:
    """Write the config that the safetensors seeds belong to."""
    config = dict(list(CONFIG.items())[:LLAMA_KEYS])
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def _tensors(norms: tuple[str, ...]) -> dict[str, Float32]:
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens": (24, 32), "model.norm": (32,)}
    layer = {"q_proj": (32, 32), "k_proj": (16, 32), "v_proj": (16, 32), "o_proj": (32, 32)}
    shapes |= {f"model.layers.0.self_attn.{name}": shape for name, shape in layer.items()}
    shapes |= {f"model.layers.0.mlp.{name}_proj": (32, 32) for name in ("gate", "up", "down")}
    shapes |= {f"model.layers.0.{name}_layernorm": (32,) for name in norms}
    return {f"{name}.weight": random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def _safetensors() -> list[bytes]:
    tensors = _tensors(("input", "post_attention"))
    return [_file(tensors, dtype) for dtype in ("F32", "F16", "BF16")]


def _file(tensors: dict[str, Float32], dtype: str) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, values in tensors.items():
        raw = values.astype("<f2" if dtype == "F16" else "<f4").tobytes()
        if dtype == "BF16":
            raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@cache
def _gguf() -> list[bytes]:
    sandwich = ("input", "post_attention", "pre_feedforward", "post_feedforward")
    families = [("llama", "Q4_0", sandwich[:2]), ("granite", "Q8_0", sandwich[:2]), ("gemma2", "Q5_1", sandwich)]
    with TemporaryDirectory() as name:
        folder, found = Path(name), []
        (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
        for number, (architecture, kind, norms) in enumerate(families):
            (folder / "model.safetensors").write_bytes(_file(_tensors(norms), "F32"))
            add = (_byte_level, _sentence_pieces)[number % 2]
            found.append(convert(folder, folder / "model.gguf", architecture, kind, add).read_bytes())
        return found


def _byte_level(writer: gguf.GGUFWriter) -> None:
    tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab", "Ġ", "Ġa", "é"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types([2, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b", "Ġ a"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATES[0])


def _sentence_pieces(writer: gguf.GGUFWriter) -> None:
    tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "▁a", "ab"]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 4 + [-1.0, -2.0, -3.0, -0.5, -0.25])
    writer.add_token_types([2, 3, 3, 6, 1, 1, 1, 1, 1])
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)


def _manifests() -> list[bytes]:
    return [manifest().to_bytes(), manifest(labels=("a", "b"), eos_ids=(1, 2)).to_bytes()]


@cache
def _parts() -> list[bytes]:
    """Return tokenizers with parts that no family has, and with expressions."""
    normalizers = [bert(), replace("Regex", r"\s+", " "), precompiled()]
    expressions = (r"(?i:'s|ll)|\p{Han}+(?!\S)|[^\S\n]++", r"(?:\r?\n)+|[a-z&&[^b]]|x{1,3}+|\bx\B")
    cuts = [split("Regex", expression, "MergedWithNext") for expression in expressions]
    documents = [
        document(
            normalizer=sequence(*normalizers, of="normalizers"),
            pre_tokenizer=sequence(*cuts, of="pretokenizers"),
            decoder=DECODERS[-1],
        ),
        *(document(pre_tokenizer=cut) for cut in PRE_TOKENIZERS[5:40:13]),
        *(document("byte_level", post_processor=processor) for processor in POST_PROCESSORS[::3]),
    ]
    return [json.dumps(made).encode() for made in documents]


def _tokenizers() -> list[bytes]:
    return [trained(family).encode() for family in FAMILIES]

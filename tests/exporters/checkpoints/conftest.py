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
from decoder_cases import decoder_cases
from gguf_conversion import convert

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


@pytest.fixture
def golden_gguf(shared: Path, tmp_path: Path) -> Callable[..., Path]:
    """Convert a recorded checkpoint to GGUF as llama.cpp's converter does."""
    folders = {str(case): case.path for case in decoder_cases()}

    def make(
        case: str,
        quantization: str = "F32",
        extra: Callable[[gguf.GGUFWriter], None] | None = None,
        architecture: str = "llama",
    ) -> Path:
        return convert(folders[case], tmp_path / f"{case}.gguf", architecture, quantization, extra)

    return make


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

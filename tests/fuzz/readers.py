"""The readers of what strangers wrote, each as a function of its bytes: only an EdgekitError may come out."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit import sandbox
from edgekit.chat import render_chat
from edgekit.errors import EdgekitError
from edgekit.manifest import Manifest
from edgekit.streaming import TextStream
from edgekit.tokenizer import PurePython, Tokenizer
from edgekit_exporters.architecture import read_model
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints.folder import open_folder
from edgekit_exporters.checkpoints.gguf import open_gguf

TEXTS = ["Hello, world!  two\n", "naïve 中文 \U0001f642 ▁ </s> <s>", ""]
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi <b>there</b>"},
    {"role": "assistant", "content": "Ho", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
    {"role": "user", "content": "ünï\n"},
]


def read_safetensors(data: bytes, folder: Path) -> None:
    """A checkpoint folder whose config is right and whose weights are these bytes."""
    (folder / "model.safetensors").write_bytes(data)
    with open_folder(folder) as checkpoint:
        _read_tensors(checkpoint)


def read_gguf(data: bytes, folder: Path) -> None:
    """A GGUF file: metadata, tokenizer and tensors."""
    path = folder / "model.gguf"
    path.write_bytes(data)
    with open_gguf(path) as checkpoint:
        _read_tensors(checkpoint)


def read_manifest(data: bytes, folder: Path) -> None:
    """A manifest; one that is accepted can be written and read again."""
    manifest = Manifest.from_bytes(data, "edgekit.json")
    assert Manifest.from_bytes(manifest.to_bytes(), "again") == manifest


def read_tokenizer(data: bytes, folder: Path) -> None:
    """A tokenizer.json, and texts there and back through it."""
    path = folder / "tokenizer.json"
    path.write_bytes(data)
    _there_and_back(Tokenizer.open(path))


def read_pure_tokenizer(data: bytes, folder: Path) -> None:
    """The same without the package tokenizers."""
    _there_and_back(Tokenizer(PurePython(data, "tokenizer.json")))


def _there_and_back(tokenizer: Tokenizer) -> None:
    for text in TEXTS:
        ids = tokenizer.encode(text)
        tokenizer.decode(ids, skip_special=False)
        stream = TextStream(tokenizer)
        # Not compared: a decoder may rewrite what stands before a token, which no published one does.
        assert isinstance("".join(map(stream.push, ids)) + stream.flush(), str)
    tokenizer.decode([0, 7, 255, 1 << 31])


def read_template(data: bytes, folder: Path) -> None:
    """A chat template that renders a conversation."""
    render_chat(data.decode("utf-8", "replace"), MESSAGES, bos_token="<s>", eos_token="</s>")


def _read_tensors(checkpoint: Checkpoint) -> None:
    for rows in read_model(checkpoint).weights.values():
        rows.read(0, 1)
        if rows.stored.encoding is not None:
            rows.encoded(rows.stored.encoding, 0, 1)


@dataclass(frozen=True)
class Reader:
    """A reader and what it may take: processor seconds, and bytes of memory besides those per byte of input."""

    read: Callable[[bytes, Path], None]
    seconds: float = 2.0
    memory: int = 8 << 20
    memory_per_byte: int = 64


READERS = {
    "safetensors": Reader(read_safetensors),
    "gguf": Reader(read_gguf),
    "manifest": Reader(read_manifest),
    "tokenizer": Reader(read_tokenizer),
    "pure_tokenizer": Reader(read_pure_tokenizer),
    # A template is a program: it may make as much text as its sandbox allows.
    "template": Reader(read_template, seconds=4.0, memory=8 * sandbox.MAX_SIZE),
}


def run(name: str, data: bytes, folder: Path, *, count_memory: bool = True) -> bool:
    """Give one input to a reader and return whether it was accepted; counting memory makes it three times as slow.

    Raises:
        AssertionError: it took too much time or memory.
        Exception: whatever the reader let through that is no EdgekitError.
    """
    reader, began = READERS[name], time.process_time()
    if count_memory:
        tracemalloc.start()
    try:
        reader.read(data, folder)
        accepted = True
    except EdgekitError:
        accepted = False
    finally:
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    seconds, most = time.process_time() - began, reader.memory + reader.memory_per_byte * len(data)
    assert seconds <= reader.seconds, f"{seconds:.1f} s for {len(data):,} bytes"
    assert memory <= most, f"{memory:,} bytes of memory for {len(data):,} bytes"
    return accepted

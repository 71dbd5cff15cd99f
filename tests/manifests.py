"""Manifests and bundles for tests: small, complete and valid, to be spoiled one field at a time."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from edgekit.bundle_writer import BundleWriter
from edgekit.manifest import FileEntry, FormatEntry, Manifest, Source
from edgekit.spec import Attention, DecoderSpec, Norm, Rope

FILES = {
    "tokenizer.json": b"{}",
    "chat_template.jinja": "{{ messages[0].content }} – ünï\n".encode(),
    "onnx/model.onnx": b"graph" * 100,
    "onnx/model.onnx.data": bytes(range(256)) * 40,
}


def decoder_spec() -> DecoderSpec:
    """A spec that uses every field: two kinds of layers, LongRoPE, a window, softcaps, norms of q and k."""
    wide = Attention(
        heads=4,
        kv_heads=2,
        head_dim=8,
        scale=8**-0.5,
        rope=Rope(frequencies=(1.0, 0.1, 0.01, 0.0), scale=1.19, long_frequencies=(1.0, 0.05, 0.002, 0.0), border=32),
    )
    local = Attention(heads=4, kv_heads=4, head_dim=8, scale=0.5, window=16, softcap=50.0, qk_norm=Norm(eps=1e-6))
    return DecoderSpec(
        architecture="phi3",
        vocab_size=97,
        hidden_size=32,
        mlp_size=48,
        context=256,
        layers=(wide, local, wide),
        norm=Norm(),
        tied=True,
        logit_softcap=30.0,
    )


def manifest(**changes: Any) -> Manifest:
    """A valid manifest whose files are `FILES`."""
    entries = {name: FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest()) for name, data in FILES.items()}
    quality = {"fidelity": {"top1": 0.998, "ok": True}, "measured": None}
    onnx = FormatEntry(
        files=("onnx/model.onnx", "onnx/model.onnx.data"), context_max=256, details={"kv": ["f32"]}, quality=quality
    )
    valid = Manifest(
        name="tiny",
        task="generate",
        architecture="phi3",
        spec=decoder_spec(),
        source=Source(id="someone/tiny", revision="abc", licence="mit"),
        quantization={"mode": "int4", "linear": "int4 block 32"},
        files=entries,
        formats={"onnx": onnx},
        eos_ids=(1, 96),
        bos_token="<s>",
        eos_token="</s>",
        generation={"temperature": 0.7, "top_k": 40, "do_sample": True},
    )
    return dataclasses.replace(valid, **changes)


def write_files(folder: Path) -> None:
    """Put `FILES` into a folder."""
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_bundle(output: Path, **changes: Any) -> Path:
    """Write a valid bundle."""
    with BundleWriter(output, force=False) as writer:
        write_files(writer.folder)
        writer.write(manifest(**changes))
    return output

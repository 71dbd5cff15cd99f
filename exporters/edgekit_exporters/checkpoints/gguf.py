"""Reads a GGUF file as if it were the Hugging Face checkpoint it was converted from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoint import Checkpoint, Source
from edgekit_exporters.checkpoints.files import PositionedFile
from edgekit_exporters.checkpoints.gguf_architecture import GgufArchitecture, find_architecture
from edgekit_exporters.checkpoints.gguf_config import build_config, build_generation_config
from edgekit_exporters.checkpoints.gguf_metadata import GgufHead, read_head
from edgekit_exporters.checkpoints.gguf_tensors import GgufRows, open_tensors
from edgekit_exporters.checkpoints.gguf_tokenizer import build_tokenizer
from edgekit_exporters.checkpoints.gguf_values import number, text
from edgekit_exporters.weights import Flat, Map, Rows, Slice, Take, transpose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Read into the config instead (gguf_rope).
_ROPE_TENSORS = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
# Q4_K_M, IQ2_XXS, MXFP4, BF16, ... with what those who convert put before it (i1-, UD-).
_WEIGHT_TYPE = r"[.-]((i1|ud)[.-])?(i?q\d+(_\w+)*|tq\d_\d|mxfp4(_moe)?|nvfp4|b?f16|f32|fp(16|32))$"


def open_gguf(path: Path) -> Checkpoint:
    """Open a GGUF file; its tensors are read and dequantized when they are asked for.

    Every tensor is a `GgufRows`, or a `Take`, `Map` or the like over one where the converter had changed it.

    Raises:
        CheckpointError: the file is damaged or contradicts itself.
        UnsupportedError: an architecture, a tokenizer or a feature that EdgeKit does not know.
    """
    file = PositionedFile(path)
    try:
        return _open(file)
    except BaseException:
        file.close()
        raise


def _open(file: PositionedFile) -> Checkpoint:
    head = read_head(file)
    where = str(file.path)
    _refuse_parts(head, where)
    name = text(head.metadata, "general.architecture", where)
    if name is None:
        raise CheckpointError(f"{where}: the key general.architecture is missing", "convert the model again")
    architecture = find_architecture(name, where)
    raw = open_tensors(file, head)
    config = build_config(name, architecture, head.metadata, raw, where)
    template = text(head.metadata, "tokenizer.chat_template", where)
    tokenizer = build_tokenizer(head.metadata, config, where)
    return Checkpoint(
        name=model_name(file.path),
        source=Source(id=file.path.name, licence=text(head.metadata, "general.license", where)),
        config=config,
        tensors=_rename(raw, architecture, config, where),
        tokenizer_json=tokenizer.json if tokenizer else None,
        tokenizer_config=tokenizer.config if tokenizer else {},
        chat_template=template,
        generation_config=build_generation_config(head.metadata, template),
        closers=[file.close],
    )


def model_name(path: Path) -> str:
    """Return the model's name by its file: the stem without the ending that names the weights' type.

    `general.name` says less: it is prose, and the same for every conversion of a family.
    """
    return re.sub(_WEIGHT_TYPE, "", path.stem, flags=re.IGNORECASE) or path.stem


def _refuse_parts(head: GgufHead, where: str) -> None:
    kind = text(head.metadata, "general.type", where)
    if kind not in (None, "model"):
        raise UnsupportedError(f"{where}: the file holds {kind!r:.40}, not a model", "give the model's own GGUF file")
    parts = number(head.metadata, "split.count", where, 0)
    if parts > 1:
        raise UnsupportedError(
            f"{where} is one of {parts} parts", "join them first: llama-gguf-split --merge FIRST-PART OUTPUT"
        )


def _rename(
    raw: Mapping[str, GgufRows], architecture: GgufArchitecture, config: Mapping[str, Any], where: str
) -> dict[str, Rows]:
    """Give each tensor its Hugging Face name and take back what llama.cpp's converter did to it.

    A tensor that the declaration does not name might change what is computed, so it is refused.
    """
    out: dict[str, Rows] = {}
    for name, rows in raw.items():
        if name in _ROPE_TENSORS:
            continue
        base, _, suffix = name.rpartition(".")
        pattern = re.sub(r"^blk\.\d+\.", "blk.{}.", base)
        if pattern not in architecture.tensors or suffix not in ("weight", "bias"):
            raise UnsupportedError(
                f"{where}: EdgeKit does not know the tensor {name} of {architecture.model_type}", _ORIGINAL
            )
        layer, target = base.split(".")[1] if pattern != base else "", architecture.tensors[pattern]
        restored = _restore(rows, pattern, architecture, config, where)
        if "{head}" not in target:
            out[f"{target.format(layer)}.{suffix}"] = restored
            continue
        for head in range(restored.shape[0]):
            out[f"{target.format(layer, head=head)}.{suffix}"] = Flat(Slice(restored, head, head + 1))
    return out


def _restore(
    rows: GgufRows, pattern: str, architecture: GgufArchitecture, config: Mapping[str, Any], where: str
) -> Rows:
    if pattern in architecture.mapped:
        return Map(rows, architecture.mapped[pattern])
    if pattern in architecture.transposed and len(rows.shape) == 2:
        return transpose(rows)
    if pattern not in architecture.rotated:
        return rows
    heads = config[architecture.rotated[pattern]]
    if rows.shape[0] % (2 * heads):
        raise CheckpointError(
            f"{where}: {rows.name} has {rows.shape[0]} rows for {heads} heads", "convert the model again"
        )
    return Take(rows, halves_order(rows.shape[0], heads))


def halves_order(rows: int, heads: int) -> npt.NDArray[np.int64]:
    """Return where each row of a q or k projection lies in a GGUF file of llama's kind.

    llama.cpp rotates neighbours (2j, 2j + 1) of a head, Hugging Face its halves (j, j + head_dim / 2);
    `permute` in llama.cpp's convert_hf_to_gguf.py goes the other way.
    """
    neighbours = np.arange(rows, dtype=np.int64).reshape(heads, rows // heads // 2, 2)
    return np.ascontiguousarray(neighbours.swapaxes(1, 2)).reshape(-1)


_ORIGINAL = "give the model's original checkpoint (config.json and safetensors)"

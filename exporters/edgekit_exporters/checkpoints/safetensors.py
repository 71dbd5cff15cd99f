"""Reads safetensors files lazily: the header at once, tensors by rows when they are asked for.

The layout (https://github.com/huggingface/safetensors, "Format"): a little-endian u64 N, N bytes of JSON that give each
tensor's dtype, shape and byte range, then the data without gaps.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints.files import DAMAGED, FileRows, PositionedFile

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit_exporters.weights import Float32

MAX_HEADER = 100_000_000
"""Bytes; the limit of the reference implementation."""

_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_OTHERS = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_BYTES = _FLOATS | _OTHERS
_NUMPY: dict[str, np.dtype[Any]] = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


@dataclass(frozen=True)
class Entry:
    """One tensor of a header; `begin` and `end` count bytes from the start of the data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsRows(FileRows):
    """A tensor of a safetensors file."""

    def __init__(self, file: PositionedFile, name: str, entry: Entry, data: int) -> None:
        super().__init__(file, name, entry.shape)
        self.dtype, self.offset = entry.dtype, data + entry.begin

    def decode(self, start: int, stop: int) -> Float32:
        """Read the rows and widen them to float32."""
        if self.dtype not in _FLOATS:
            raise CheckpointError(
                f"{self.file.path}: the tensor {self.name} holds {self.dtype}, which are no weights",
                "was the checkpoint quantized by another tool? EdgeKit wants the original",
            )
        row = _FLOATS[self.dtype] * math.prod(self.shape[1:])
        raw = self.file.read(self.offset + start * row, (stop - start) * row)
        if self.dtype == "BF16":
            widened: npt.NDArray[np.uint32] = np.left_shift(raw.view("<u2"), 16, dtype=np.uint32)
            return widened.view(np.float32)
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which is then refused
            return np.asarray(raw.view(_NUMPY[self.dtype]), np.float32)


def open_safetensors(file: PositionedFile) -> dict[str, SafetensorsRows]:
    """Return the tensors of a file by name.

    Raises:
        CheckpointError: the header is damaged or lies about the data.
        UnsupportedError: a tensor's type is one that EdgeKit does not read (float8 and narrower).
    """
    data, entries = _read_header(file)
    return {name: SafetensorsRows(file, name, entry, data) for name, entry in entries.items()}


def _read_header(file: PositionedFile) -> tuple[int, dict[str, Entry]]:
    path = file.path
    if file.size < 8:
        raise CheckpointError(f"{path} has {file.size} bytes, too few for a safetensors file", DAMAGED)
    length = int.from_bytes(file.read(0, 8).tobytes(), "little")
    if length > MAX_HEADER:
        raise CheckpointError(f"{path}: a header of {length:,} bytes; {MAX_HEADER:,} are allowed", _NOT_SAFETENSORS)
    if 8 + length > file.size:
        raise CheckpointError(f"{path}: a header of {length:,} bytes in a file of {file.size:,}", DAMAGED)
    try:
        header = json.loads(file.read(8, length).tobytes().decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header is not valid JSON: {error}", _NOT_SAFETENSORS) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the header is not a JSON object", _NOT_SAFETENSORS)
    header.pop("__metadata__", None)
    entries = {name: _entry(path, name, value) for name, value in header.items()}
    _check_layout(path, entries, file.size - 8 - length)
    return 8 + length, entries


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return out


def _entry(path: Path, name: str, value: object) -> Entry:
    match value:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [begin, end]} if _counts([*shape, begin, end]):
            pass
        case _:
            raise CheckpointError(f"{path}: the tensor {name} is described by {value!r:.200}", DAMAGED)
    if dtype.startswith("F8"):
        raise UnsupportedError(f"{path}: the tensor {name} is quantized to float8 ({dtype})", _ORIGINAL)
    if dtype not in _BYTES:
        raise UnsupportedError(
            f"{path}: the tensor {name} has the type {dtype!r:.40}, which EdgeKit cannot read", _ORIGINAL
        )
    size = math.prod(shape) * _BYTES[dtype]
    if end - begin != size:
        raise CheckpointError(
            f"{path}: the tensor {name} ({dtype} {shape}) takes {size:,} bytes, but its range has {end - begin:,}",
            DAMAGED,
        )
    return Entry(dtype, tuple(shape), begin, end)


def _counts(values: list[Any]) -> bool:
    # 2^53 is far beyond any file and keeps a product of hostile sizes short.
    return len(values) <= 10 and all(type(value) is int and 0 <= value < 1 << 53 for value in values)


def _check_layout(path: Path, entries: dict[str, Entry], size: int) -> None:
    """Demand that the tensors lie one behind the other and fill the data exactly, as the format says."""
    position, previous = 0, "the header"
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.end > size:
            raise CheckpointError(f"{path}: the tensor {name} ends at byte {entry.end:,} of {size:,}", DAMAGED)
        if entry.begin != position:
            how = "overlaps" if entry.begin < position else "leaves a gap behind"
            raise CheckpointError(f"{path}: the tensor {name} {how} {previous}", DAMAGED)
        position, previous = entry.end, name
    if position != size:
        raise CheckpointError(f"{path}: {size - position:,} bytes behind the last tensor belong to none", DAMAGED)


_NOT_SAFETENSORS = "this is not a safetensors file, or it is damaged: fetch it again"
_ORIGINAL = "give the original checkpoint (float32, float16 or bfloat16); EdgeKit quantizes it itself"

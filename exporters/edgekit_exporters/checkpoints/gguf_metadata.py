"""Reads the head of a GGUF file: its metadata and where its tensors lie. Every length is checked before it is believed.

The layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little endian).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints.files import DAMAGED, PositionedFile

MAGIC = b"GGUF"
CHUNK = 1 << 20
MAX_STRING = 16 << 20
"""Bytes; the longest strings are chat templates."""
MAX_STRINGS = 4 << 20
"""Elements; the largest vocabularies have some 300,000 tokens and as many merges."""
MAX_ARRAY_BYTES = 64 << 20
MAX_ENTRIES = 1 << 16
"""Metadata keys, and tensors."""

_FLOAT32, _BOOL, _STRING, _ARRAY = 6, 7, 8, 9
_SCALARS = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4",
    _FLOAT32: "<f4", _BOOL: "?", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip


@dataclass(frozen=True)
class TensorPlace:
    """A tensor's place: `shape` in numpy's order (rows first), `kind` the number of its ggml type."""

    shape: tuple[int, ...]
    kind: int
    offset: int
    """Bytes from the start of the file."""


@dataclass(frozen=True)
class GgufHead:
    """What a GGUF file says about itself.

    A metadata value is str, bool, int, float, a list of str, or a numpy array of numbers.
    """

    metadata: dict[str, Any]
    places: dict[str, TensorPlace]


def read_head(file: PositionedFile) -> GgufHead:
    """Read metadata and tensor places; the tensors' sizes are for the caller to check, who knows their types.

    Raises:
        CheckpointError: it is no GGUF file, is cut short or contradicts itself.
        UnsupportedError: it is big endian or of another version.
    """
    cursor = _Cursor(file)
    if file.size < 24 or cursor.take(4) != MAGIC:
        raise CheckpointError(
            f"{file.path} is not a GGUF file", "check the path; an unfinished download looks like this too"
        )
    _check_version(cursor)
    tensor_count, key_count = (
        cursor.count("number of tensors", MAX_ENTRIES),
        cursor.count("number of keys", MAX_ENTRIES),
    )
    metadata: dict[str, Any] = {}
    for _ in range(key_count):
        key = cursor.string("the name of a key")
        if key in metadata:
            cursor.refuse(f"the key {key} is there twice")
        metadata[key] = _value(cursor, cursor.number("<I"), key)
    relative = {}
    for _ in range(tensor_count):
        name = cursor.string("the name of a tensor")
        if name in relative:
            cursor.refuse(f"the tensor {name} is there twice")
        relative[name] = _place(cursor, name)
    return GgufHead(metadata, _absolute(cursor, relative, metadata.get("general.alignment", 32)))


def _check_version(cursor: _Cursor) -> None:
    version = cursor.number("<I")
    if version in (2 << 24, 3 << 24):
        raise UnsupportedError(
            f"{cursor.file.path} is a big-endian GGUF file", "use the little-endian one, which is usual"
        )
    if version not in (2, 3):
        raise UnsupportedError(
            f"{cursor.file.path} is GGUF version {version}; 2 and 3 are read", "convert the model again"
        )


def _value(cursor: _Cursor, kind: int, key: str) -> Any:  # noqa: ANN401 - see GgufHead
    if kind == _STRING:
        return cursor.string(key)
    if kind == _ARRAY:
        return _array(cursor, key)
    scalar = _array_of(cursor, kind, 1, key)
    # A float32 comes back as the decimal its writer meant: 1e-05, not 9.999999747378752e-06.
    return float(str(scalar[0])) if kind == _FLOAT32 else scalar[0].item()


def _array(cursor: _Cursor, key: str) -> Any:  # noqa: ANN401
    kind, length = cursor.number("<I"), cursor.number("<Q")
    if kind == _STRING:
        if length > MAX_STRINGS or length * 8 > cursor.left():
            cursor.refuse(f"{key} claims {length:,} strings")
        return [cursor.string(key) for _ in range(length)]
    return _array_of(cursor, kind, length, key)


def _array_of(cursor: _Cursor, kind: int, length: int, key: str) -> Any:  # noqa: ANN401
    if kind not in _SCALARS:
        cursor.refuse(f"{key} has the unknown type {kind}")
    dtype = np.dtype(_SCALARS[kind])
    size = length * dtype.itemsize
    if size > MAX_ARRAY_BYTES or size > cursor.left():
        cursor.refuse(f"{key} claims {length:,} numbers")
    return (
        np.frombuffer(cursor.take(size), "u1").astype(bool)
        if kind == _BOOL
        else np.frombuffer(cursor.take(size), dtype)
    )


def _place(cursor: _Cursor, name: str) -> TensorPlace:
    dimensions = cursor.number("<I")
    if not 1 <= dimensions <= 4:
        cursor.refuse(f"the tensor {name} has {dimensions} dimensions")
    shape = tuple(cursor.number("<Q") for _ in range(dimensions))[::-1]
    if any(not 0 < size < 1 << 48 for size in shape) or math.prod(shape) >= 1 << 56:
        cursor.refuse(f"the tensor {name} has the shape {list(shape)}")
    return TensorPlace(shape, cursor.number("<I"), cursor.number("<Q"))


def _absolute(cursor: _Cursor, relative: dict[str, TensorPlace], alignment: object) -> dict[str, TensorPlace]:
    if type(alignment) is not int or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        cursor.refuse(f"general.alignment is {alignment!r:.40}")
    data = -(-cursor.position // alignment) * alignment
    for name, place in relative.items():
        if place.offset % alignment or place.offset > cursor.file.size:
            cursor.refuse(
                f"the tensor {name} lies at {place.offset:,}, which is not aligned to {alignment} or beyond the end"
            )
    return {name: TensorPlace(place.shape, place.kind, data + place.offset) for name, place in relative.items()}


class _Cursor:
    """Reads forward through a file, a chunk at a time, and never asks for more than the file has."""

    def __init__(self, file: PositionedFile) -> None:
        self.file = file
        self.buffer, self.at, self.start = b"", 0, 0

    @property
    def position(self) -> int:
        return self.start + self.at

    def left(self) -> int:
        return self.file.size - self.position

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.buffer):
            if count > self.left():
                self.refuse("it ends within its metadata")
            self.start, self.at = self.position, 0
            self.buffer = self.file.read(self.start, min(max(count, CHUNK), self.file.size - self.start)).tobytes()
        self.at += count
        return self.buffer[self.at - count : self.at]

    def number(self, layout: str) -> int:
        size = 4 if layout == "<I" else 8
        value: int = struct.unpack(layout, self.take(size))[0]
        return value

    def count(self, what: str, most: int) -> int:
        value = self.number("<Q")
        if value > most:
            self.refuse(f"the {what} is {value:,}")
        return value

    def string(self, what: str) -> str:
        length = int.from_bytes(self.take(8), "little")
        if length > MAX_STRING or length > self.left():
            self.refuse(f"{what} claims a string of {length:,} bytes")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            return self.refuse(f"{what} is not UTF-8: {error.reason}")

    def refuse(self, problem: str) -> NoReturn:
        raise CheckpointError(f"{self.file.path}: {problem}", DAMAGED)

"""A file of packed weights: room is reserved while a graph is recorded, filled by position, and read back by rows."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import BundleError
from edgekit_exporters.quantization import Encoded, Encoding, decode
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Float32, Rows

ALIGNMENT = 4096
"""Engines map large tensors straight from the file, which works by pages."""


class PackedFile:
    """A file written at given positions, by several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._lock = threading.Lock()
        self._file = path.open("w+b")

    def reserve(self, size: int) -> int:
        """Return the position of `size` new bytes."""
        position = -(-self.size // ALIGNMENT) * ALIGNMENT if size >= ALIGNMENT else -(-self.size // 64) * 64
        self.size = position + size
        return position

    def write(self, position: int, data: npt.NDArray[Any]) -> None:
        """Write an array's bytes at a position."""
        with self._lock:
            self._file.seek(position)
            self._file.write(np.ascontiguousarray(data).data.cast("B"))

    def close(self) -> None:
        """Give the file its full size and close it."""
        if not self._file.closed:
            self._file.truncate(self.size)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


@dataclass(frozen=True)
class Placed:
    """Where a weight of shape [rows, columns] (or a vector) lies in a packed file, and in which encoding.

    `values` is the position of its packed rows (4-bit ones two to a byte, the even element in the low half), `scales`
    of floats [rows, blocks], `zero_points` of uint8 rows packed as the values are. All rows lie one after another.
    """

    shape: tuple[int, ...]
    encoding: Encoding
    values: int
    scales: int = 0
    zero_points: int = 0
    scale_bits: int = 32
    signed: bool = False
    """8-bit values without zero points are stored as int8, not around 128."""

    @property
    def scale_type(self) -> type[np.floating[Any]]:
        """The type of the scales."""
        return np.float16 if self.scale_bits == 16 else np.float32

    @property
    def row_bytes(self) -> int:
        """Bytes of a packed row."""
        columns = self.shape[1] if len(self.shape) > 1 else 1
        return self.encoding.padded(columns) * self.encoding.bits // 8

    @property
    def zero_point_bytes(self) -> int:
        """Bytes of a row's packed zero points."""
        return -(-self.blocks * self.encoding.bits // 8)

    @property
    def blocks(self) -> int:
        """Blocks of a row."""
        return self.encoding.blocks(self.shape[1]) if len(self.shape) > 1 else 1

    def slot(self, file: PackedFile, weight: str) -> Slot:
        """Return the slot that packs and writes encoded rows into `file`."""

        def write(first: int, encoded: Encoded) -> None:
            file.write(self.values + first * self.row_bytes, self._packed(encoded))
            if encoded.scales is not None:
                scales = encoded.scales.astype(self.scale_type)
                file.write(self.scales + first * self.blocks * self.scale_bits // 8, scales)
            if encoded.zero_points is not None:
                packed = pack(encoded.zero_points, self.encoding.bits)
                file.write(self.zero_points + first * self.zero_point_bytes, packed)

        return Slot(weight, self.encoding, write)

    def _packed(self, encoded: Encoded) -> npt.NDArray[Any]:
        return encoded.values.astype(np.int8, copy=False) if self.signed else pack_values(encoded, self.encoding)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        encoding = {"bits": self.encoding.bits, "block": self.encoding.block, "zero_point": self.encoding.zero_point}
        positions = {"values": self.values, "scales": self.scales, "zero_points": self.zero_points}
        return {
            "shape": list(self.shape),
            **encoding,
            **positions,
            "scale_bits": self.scale_bits,
            "signed": self.signed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Placed:
        """Rebuild from `to_json`.

        Raises:
            KeyError, TypeError, ValueError: not of that form (`read_index` names the file).
        """
        encoding = Encoding(data["bits"], data["block"], data["zero_point"])
        shape = tuple(data["shape"])
        positions = (data["values"], data["scales"], data["zero_points"])
        whole = all(type(n) is int and n > 0 for n in (*shape, 1 if encoding.block is None else encoding.block))
        placed = all(type(n) is int and 0 <= n < 1 << 62 for n in positions)
        signed = data["signed"]
        known = encoding.bits in (4, 8, 16, 32) and data["scale_bits"] in (16, 32) and 1 <= len(shape) <= 2
        known = known and type(signed) is bool and (not signed or (encoding.bits == 8 and not encoding.zero_point))
        if not (whole and placed and known) or (encoding.quantized and len(shape) == 1):
            raise ValueError(f"no place of a weight: {dict(data)!r:.200}")
        return cls(shape, encoding, *positions, data["scale_bits"], signed)


def pack(values: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    """Return uint8 [rows, n] packed: at 4 bits two to a byte, the even element in the low half, rows filled up."""
    if bits == 8:
        return values
    if values.shape[1] % 2:
        values = np.pad(values, ((0, 0), (0, 1)))
    packed: npt.NDArray[np.uint8] = values[:, 0::2] | values[:, 1::2] << np.uint8(4)
    return packed


def unpack(packed: npt.NDArray[np.uint8], bits: int, count: int) -> npt.NDArray[np.uint8]:
    """Return what `pack` was given: uint8 [rows, count]."""
    if bits == 8:
        return packed
    out = np.empty((len(packed), 2 * packed.shape[1]), np.uint8)
    out[:, 0::2], out[:, 1::2] = packed & 15, packed >> 4
    return out[:, :count]


def pack_values(encoded: Encoded, encoding: Encoding) -> npt.NDArray[Any]:
    """Return the bytes of values: signed ones are stored around 2^(bits-1), as ONNX Runtime has them by default."""
    if not encoding.quantized:
        return encoded.values
    if encoding.zero_point:
        return pack(encoded.values.astype(np.uint8, copy=False), encoding.bits)
    return pack((encoded.values.astype(np.int16) + (1 << encoding.bits - 1)).astype(np.uint8), encoding.bits)


@dataclass(frozen=True, eq=False)
class PackedRows(Rows):
    """A weight read back from a packed file, dequantized."""

    path: Path
    placed: Placed
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", self.placed.shape)

    def read(self, start: int, stop: int) -> Float32:
        """Read and dequantize rows."""
        placed, count = self.placed, stop - start
        encoding = placed.encoding
        raw = self._bytes(placed.values, start, count, placed.row_bytes)
        if not encoding.quantized:
            floats = raw.reshape(-1).view(np.float32 if encoding.bits == 32 else np.float16).astype(np.float32)
            return floats.reshape(count, *self.shape[1:])
        width = placed.blocks * placed.scale_bits // 8
        scales = self._bytes(placed.scales, start, count, width).reshape(-1).view(placed.scale_type).astype(np.float32)
        values = unpack(raw, encoding.bits, encoding.padded(self.shape[1]))
        if placed.signed:
            return decode(Encoded(values.view(np.int8), scales.reshape(count, -1)), self.shape[1])
        if encoding.zero_point:
            packed = self._bytes(placed.zero_points, start, count, placed.zero_point_bytes)
            zero_points = unpack(packed, encoding.bits, placed.blocks)
        else:
            zero_points = np.full((count, placed.blocks), 1 << encoding.bits - 1, np.uint8)
        return decode(Encoded(values, scales.reshape(count, placed.blocks), zero_points), self.shape[1])

    def _bytes(self, position: int, start: int, count: int, width: int) -> npt.NDArray[np.uint8]:
        first, size = position + start * width, count * width
        # Asked before reading: a damaged index must not make room for more than the file has.
        within = first >= 0 and first + size <= self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(first if within else 0)
            data = file.read(size) if within else b""
        if not within or len(data) != size:
            raise BundleError(f"{self.path} ends within its weights", "the bundle is damaged: export it again")
        return np.frombuffer(data, np.uint8).reshape(count, width)


def write_index(placed: dict[str, Placed]) -> str:
    """Return the index of a packed file as text, for `read_index`."""
    return json.dumps({name: place.to_json() for name, place in placed.items()})


def read_index(text: str, path: Path) -> dict[str, Rows]:
    """Return the weights of a packed file by an index.

    Raises:
        BundleError: the index is damaged, or leads out of the file.
    """
    try:
        rows = {name: PackedRows(path, Placed.from_json(place)) for name, place in json.loads(text).items()}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise damaged_index(path, error) from error
    return dict(rows)


def damaged_index(path: Path, error: Exception) -> BundleError:
    """Return what to tell a user whose bundle does not say where its weights lie."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return BundleError(f"{path}: the index of its weights is damaged ({reason:.200})", "export the bundle again")

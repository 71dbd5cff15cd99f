"""Tensors of a GGUF file by rows: dequantized, or the quantized blocks as they lie in the file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgekit.errors import CheckpointError, MissingExtraError, UnsupportedError
from edgekit_exporters.checkpoints.files import DAMAGED, Bytes, FileRows, PositionedFile
from edgekit_exporters.checkpoints.gguf_blocks import ENCODINGS, blocks_as
from edgekit_exporters.weights import Stored

if TYPE_CHECKING:
    from edgekit_exporters.checkpoints.gguf_metadata import GgufHead, TensorPlace
    from edgekit_exporters.quantization import Encoded, Encoding
    from edgekit_exporters.weights import Float32

try:
    import gguf
    import gguf.quants
except ModuleNotFoundError as error:
    raise MissingExtraError("gguf", "reading a GGUF file", "export") from error


class GgufRows(FileRows):
    """A tensor of a GGUF file.

    Attributes:
        quantization: the ggml type's name, such as "Q4_1", "Q8_0", "F32".
        block_size: how many weights of a row share one block.
        block_bytes: bytes of one block.
    """

    def __init__(self, file: PositionedFile, name: str, place: TensorPlace) -> None:
        super().__init__(file, name, place.shape)
        try:
            self._kind = gguf.GGMLQuantizationType(place.kind)
        except ValueError as error:
            raise UnsupportedError(
                f"{file.path}: the tensor {name} has the unknown ggml type {place.kind}", _UPDATE
            ) from error
        self.quantization: str = self._kind.name
        self.block_size, self.block_bytes = (int(value) for value in gguf.GGML_QUANT_SIZES[self._kind])
        if place.shape[-1] % self.block_size:
            raise CheckpointError(
                f"{file.path}: the rows of {name} have {place.shape[-1]} weights, "
                f"which is no multiple of {self.block_size}, the block of {self.quantization}",
                DAMAGED,
            )
        self.offset, self.size = place.offset, math.prod(place.shape) // self.block_size * self.block_bytes

    def read_raw(self, start: int, stop: int) -> Bytes:
        """Return the blocks of rows start..stop as they lie in the file: uint8 [stop - start, bytes of a row].

        Raises:
            ValueError: the tensor is quantized and has one dimension, so that its blocks span rows.
        """
        weights = math.prod(self.shape[1:])
        if weights % self.block_size:
            raise ValueError(f"{self.name}: a block of {self.quantization} spans several rows")
        row = weights // self.block_size * self.block_bytes
        return self.file.read(self.offset + start * row, (stop - start) * row).reshape(stop - start, row)

    @property
    def stored(self) -> Stored:
        """The bits of the type, and the encoding that holds the same values."""
        matrix = len(self.shape) == 2
        return Stored(8 * self.block_bytes / self.block_size, ENCODINGS.get(self.quantization) if matrix else None)

    def encoded(self, encoding: Encoding, start: int, stop: int) -> Encoded | None:
        """Return the blocks as they are, where the encoding holds them."""
        if self.stored.encoding is None:
            return None
        raw = self.read_raw(start, stop)
        values = self._dequantize(raw)
        self._check_finite(values, start)
        return blocks_as(encoding, self.quantization, raw, values, self.block_bytes)

    def decode(self, start: int, stop: int) -> Float32:
        """Read the rows' blocks and dequantize them."""
        if start == stop:
            return np.zeros((0, *self.shape[1:]), np.float32)
        if len(self.shape) == 1 and self.block_size > 1:
            return self._dequantize(self.file.read(self.offset, self.size).reshape(1, -1))[0, start:stop]
        return self._dequantize(self.read_raw(start, stop))

    def _dequantize(self, blocks: Bytes) -> Float32:
        try:
            # Infinite scales are found by the look at the result, which names the tensor.
            with np.errstate(all="ignore"):
                return np.asarray(gguf.quants.dequantize(blocks, self._kind), np.float32)
        except NotImplementedError as error:
            raise UnsupportedError(
                f"{self.file.path}: the tensor {self.name} is {self.quantization}, which cannot be dequantized",
                _UPDATE,
            ) from error


def open_tensors(file: PositionedFile, head: GgufHead) -> dict[str, GgufRows]:
    """Return all tensors by their GGUF names.

    Raises:
        CheckpointError: one lies beyond the end of the file or within another.
        UnsupportedError: one has a type that the installed gguf package does not know.
    """
    tensors = {name: GgufRows(file, name, place) for name, place in head.places.items()}
    end, previous = 0, ""
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.offset):
        if tensor.offset < end:
            raise CheckpointError(f"{file.path}: the tensor {tensor.name} overlaps {previous}", DAMAGED)
        end, previous = tensor.offset + tensor.size, tensor.name
        if end > file.size:
            raise CheckpointError(
                f"{file.path}: the tensor {tensor.name} ends at byte {end:,} of {file.size:,}", DAMAGED
            )
    return tensors


_UPDATE = "update the package gguf (pip install -U gguf), or take a file of a usual type such as Q4_K_M, Q8_0 or F16"

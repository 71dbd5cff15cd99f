"""Weights in a .tflite file: which tensors there are, how rows are packed into them, and how they are read back.

Layouts (ai-edge-litert 2.3, XNNPACK; tried): float32 as it is; int8 signed with a scale per row, which lies within the
flatbuffer; int4 two to a byte, the even element in the low half, two's complement, with float16 scales per block of 32
in a tensor of their own. XNNPACK rounds those scales to bfloat16 and refuses negative ones, so ours are such.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgekit.errors import BundleError
from edgekit_exporters.formats._tflite_graph import (
    FLOAT16,
    FLOAT32,
    INT4,
    INT8,
    TENSOR_QUANTIZATION_SCALE,
    External,
    Flatbuffer,
    patch,
)
from edgekit_exporters.packed import PackedFile, damaged_index, unpack
from edgekit_exporters.quantization import Encoded, Encoding, Quantization, decode
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Float32, Rows, Weights

INDEX = "edgekit.weights"
BLOCK = 32
FLOAT = Encoding(32)
PER_ROW = Encoding(8)
BLOCKWISE = Encoding(4, block=BLOCK, plain_scales=True)
DTYPES = {FLOAT: FLOAT32, PER_ROW: INT8, BLOCKWISE: INT4}


def choose_encoding(kind: Quantization, shape: Sequence[int]) -> Encoding:
    """Return a weight's encoding; rows that do not fill their blocks stay int8."""
    if kind == "int4" and shape[1] % BLOCK == 0:
        return BLOCKWISE
    return FLOAT if kind == "none" else PER_ROW


@dataclass(frozen=True)
class Part:
    """One weight within a tensor that stacks several."""

    weight: str
    tensor: External
    encoding: Encoding
    first: int
    """The tensor's row that is this weight's first."""


class Store:
    """The tensors of a model: each weight is in one of them, however many signatures use it."""

    def __init__(self, weights: Weights, model: Flatbuffer) -> None:
        self._weights, self._model = weights, model
        self._tensors: dict[tuple[str | None, ...], External] = {}
        self._tables: dict[str, Float32] = {}
        self._numbers: dict[Hashable, int] = {}
        self.parts: list[Part] = []

    def stack(self, names: tuple[str, ...], encoding: Encoding) -> External:
        """Return the tensor of weights stacked by rows, of one width and one encoding."""
        if names not in self._tensors:
            shapes = [self._weights[name].shape for name in names]
            shape = (sum(s[0] for s in shapes), *shapes[0][1:])
            scales = None
            if encoding == BLOCKWISE:
                blocks = (shape[0], encoding.blocks(shape[1]))
                scales = self._model.external(f"{names[0]}/scales", blocks, FLOAT16)
            tensor = self._model.external("+".join(names), shape, DTYPES[encoding], scales)
            self._place(names, shapes, tensor, encoding)
        return self._tensors[names]

    def bias(self, names: tuple[str | None, ...], rows: Sequence[int]) -> External:
        """Return the tensor of biases stacked; where one has no name, it is zeros."""
        if names not in self._tensors:
            tensor = self._model.external("+".join(n or "zeros" for n in names), (sum(rows),), FLOAT32)
            self._place(names, [(count,) for count in rows], tensor, FLOAT)
        return self._tensors[names]

    def table(self, name: str, make: Callable[[], Float32]) -> External:
        """Return the tensor of a table that is computed, not read."""
        if (name,) not in self._tensors:
            self._tables[name] = make()
            self._tensors[(name,)] = self._model.external(name, self._tables[name].shape, FLOAT32)
        return self._tensors[(name,)]

    def number(self, thing: Hashable) -> int:
        """Return a number that stands for a thing, the same in every signature."""
        return self._numbers.setdefault(thing, len(self._numbers))

    def _place(
        self, names: tuple[str | None, ...], shapes: Sequence[tuple[int, ...]], tensor: External, encoding: Encoding
    ) -> None:
        self._tensors[names] = tensor
        first = 0
        for name, shape in zip(names, shapes, strict=True):
            if name is not None:
                self.parts.append(Part(name, tensor, encoding, first))
            first += shape[0]

    def begin(self, path: Path) -> tuple[PackedFile, list[Slot]]:
        """Write the flatbuffer and the tables, reserve room for the weights behind it, and return their slots."""
        index = {part.weight: {"tensor": part.tensor.name, "first": part.first} for part in self.parts}
        for weight, entry in index.items():
            entry["rows"] = self._weights[weight].shape[0]
        self._model.metadata(INDEX, json.dumps(index))
        data = self._model.build()
        file = PackedFile(path)
        file.reserve(len(data))
        places = {}
        for tensor in self._model.externals:
            size = stored_bytes(tensor)
            places[tensor.buffer] = (file.reserve(size), size)
        scales = patch(data, self._model, places)
        file.write(0, np.frombuffer(data, np.uint8))
        for name, table in self._tables.items():
            file.write(places[self._tensors[(name,)].buffer][0], table)
        return file, [self._slot(part, file, places, scales) for part in self.parts]

    def _slot(
        self, part: Part, file: PackedFile, places: Mapping[int, tuple[int, int]], row_scales: Mapping[str, int]
    ) -> Slot:
        tensor = part.tensor
        row_bytes = stored_bytes(tensor) // tensor.shape[0]
        values = places[tensor.buffer][0] + part.first * row_bytes
        blocks = 1 if tensor.scales is None else tensor.scales.shape[1]
        width = 4 if tensor.scales is None else 2 * blocks
        start = row_scales.get(tensor.name, 0) if tensor.scales is None else places[tensor.scales.buffer][0]
        scales = start + part.first * width

        def write(first: int, encoded: Encoded) -> None:
            packed = pack_signed(encoded.values) if tensor.dtype == INT4 else encoded.values
            file.write(values + first * row_bytes, packed)
            if encoded.scales is not None:
                stored = encoded.scales.astype(np.float32 if tensor.scales is None else np.float16)
                file.write(scales + first * width, stored)

        return Slot(part.weight, part.encoding, write)


def stored_bytes(tensor: External) -> int:
    """Return the size of a tensor's contents."""
    bits = {FLOAT32: 32, FLOAT16: 16, INT8: 8, INT4: 4}[tensor.dtype]
    return int(np.prod(tensor.shape, dtype=np.int64)) * bits // 8


def pack_signed(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return int8 values -8..7 [rows, even] two to a byte."""
    nibbles = values.astype(np.int8, copy=False).view(np.uint8) & np.uint8(15)
    return nibbles[:, 0::2] | nibbles[:, 1::2] << np.uint8(4)


@dataclass(frozen=True, eq=False)
class StoredRows(Rows):
    """Some rows of a tensor in a file, dequantized."""

    path: Path
    shape: tuple[int, ...]
    dtype: int
    position: int
    scales: Float32 | None = None
    """Of int8: [rows, 1]."""
    scales_position: int = 0
    """Of int4: of the first of these rows."""
    block: int = field(default=BLOCK)

    def read(self, start: int, stop: int) -> Float32:
        """Read and dequantize rows."""
        count, columns = stop - start, int(np.prod(self.shape[1:], dtype=np.int64))
        if self.dtype == FLOAT32:
            floats = self._bytes(self.position, start, count, 4 * columns).view(np.float32)
            return np.array(floats).reshape(count, *self.shape[1:])
        if self.dtype == INT8:
            assert self.scales is not None
            levels = self._bytes(self.position, start, count, columns).view(np.int8)
            return decode(Encoded(levels, self.scales[start:stop]), columns)
        packed = self._bytes(self.position, start, count, columns // 2)
        signed: npt.NDArray[np.int8] = (unpack(packed, 4, columns) ^ np.uint8(8)).astype(np.int8) - np.int8(8)
        scales = self._bytes(self.scales_position, start, count, 2 * columns // self.block).view(np.float16)
        return decode(Encoded(signed, scales.astype(np.float32)), columns)

    def _bytes(self, position: int, start: int, count: int, width: int) -> npt.NDArray[np.uint8]:
        with self.path.open("rb") as file:
            file.seek(position + start * width)
            data = file.read(count * width)
        if len(data) != count * width:
            raise BundleError(f"{self.path} ends within its weights", "the bundle is damaged: export it again")
        return np.frombuffer(data, np.uint8).reshape(count, width)


def read_stored(path: Path) -> dict[str, Rows]:
    """Return the weights of a written file, by the tensors that the engine sees and the index in its metadata.

    Raises:
        BundleError: the file is damaged, or none of ours.
    """
    try:
        return _read_stored(path)
    except Exception as error:  # a flatbuffer is not checked when it is read: anything may come of noise
        raise damaged_index(path, error) from error


def _read_stored(path: Path) -> dict[str, Rows]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        model = schema.Model.GetRootAs(data, 0)
        graph = model.Subgraphs(0)
        tensors = [graph.Tensors(k) for k in range(graph.TensorsLength())]
        by_name = {tensor.Name().decode(): tensor for tensor in tensors}
        entries = (model.Metadata(k) for k in range(model.MetadataLength()))
        buffer = next(entry.Buffer() for entry in entries if entry.Name() == INDEX.encode())
        index = json.loads(model.Buffers(buffer).DataAsNumpy().tobytes())
        weights: dict[str, Rows] = {}
        for name, entry in index.items():
            tensor = by_name[entry["tensor"]]
            shape = tuple(tensor.ShapeAsNumpy().tolist())
            first, rows, dtype = entry["first"], entry["rows"], tensor.Type()
            row_bytes = model.Buffers(tensor.Buffer()).Size() // shape[0]
            position = model.Buffers(tensor.Buffer()).Offset() + first * row_bytes
            part = (rows, *shape[1:])
            if dtype == INT8:
                table = tensor.Quantization()._tab
                start = table.Vector(table.Offset(TENSOR_QUANTIZATION_SCALE)) + 4 * first
                scales = np.frombuffer(data[start : start + 4 * rows], np.float32).reshape(rows, 1)
                weights[name] = StoredRows(path, part, dtype, position, scales)
            elif dtype == INT4:
                details = schema.BlockwiseQuantization()
                union = tensor.Quantization().Details()
                details.Init(union.Bytes, union.Pos)
                block = details.BlockSize()
                scale_buffer = model.Buffers(tensors[details.Scales()].Buffer())
                place = scale_buffer.Offset() + first * 2 * (shape[1] // block)
                weights[name] = StoredRows(path, part, dtype, position, None, place, block)
            else:
                weights[name] = StoredRows(path, part, dtype, position)
        return weights

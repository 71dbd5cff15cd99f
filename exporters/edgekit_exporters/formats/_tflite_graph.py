"""A recorder of TFLite flatbuffers: several signatures, each a subgraph of its own, over one set of weights.

The schema is the one that ai-edge-litert ships (tensorflow/compiler/mlir/lite/schema/schema.fbs). Weights are no part
of the flatbuffer: they lie behind it in the same file (`Buffer.offset` and `Buffer.size`), which is the only way past
2 GB, and lets them be streamed. Where they lie is known once the flatbuffer's own length is, so it is patched in.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

FLOAT32 = schema.TensorType.FLOAT32
FLOAT16 = schema.TensorType.FLOAT16
INT32 = schema.TensorType.INT32
INT8 = schema.TensorType.INT8
INT4 = schema.TensorType.INT4

BUFFER_OFFSET, BUFFER_SIZE = 6, 8
"""Entries of Buffer's vtable: four bytes for sizes, then two for each field in the schema's order."""
TENSOR_QUANTIZATION_SCALE = 8

VERSIONS = {"FULLY_CONNECTED": 12, "EMBEDDING_LOOKUP": 4}
"""Operators that an older engine knows, but not with quantized weights as we give them: it must refuse, not guess."""


@dataclass(frozen=True)
class Value:
    """A tensor of one subgraph."""

    index: int
    shape: tuple[int, ...]


class Shared(schema.QuantizationParametersT):  # type: ignore[misc]  # the schema is untyped
    """Quantization parameters that are written once, however many subgraphs have the tensor."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the generated code's name
        """Return the offset of the one copy."""
        packed: tuple[Any, int] | None = getattr(self, "_packed", None)
        if packed is None or packed[0] is not builder:
            packed = self._packed = (builder, super().Pack(builder))
        return packed[1]


@dataclass(frozen=True, eq=False)
class External:
    """A tensor whose contents lie behind the flatbuffer."""

    name: str
    shape: tuple[int, ...]
    dtype: int
    buffer: int
    scales: External | None = None
    """Of blocks of 32 along a row, float16 [rows, blocks]."""
    row_scales: Shared | None = None
    """Of whole rows; they lie within the flatbuffer, which is how the format has them."""


class Flatbuffer:
    """A model while it is being recorded."""

    def __init__(self) -> None:
        # By convention the first buffer is empty: it is that of every tensor without contents.
        self._buffers = [schema.BufferT()]
        self._codes: dict[tuple[str, int], int] = {}
        self._constants: dict[tuple[str, bytes], int] = {}
        self._metadata: list[Any] = []
        self.subgraphs: list[Subgraph] = []
        self.externals: list[External] = []

    def external(self, name: str, shape: tuple[int, ...], dtype: int, scales: External | None = None) -> External:
        """Declare a tensor behind the flatbuffer; int8 has a scale per row."""
        # Nonzero, so that the fields are there to be patched.
        self._buffers.append(schema.BufferT(offset=1, size=1))
        rows = shape[0]
        row_scales = (
            Shared(scale=np.zeros(rows, np.float32), zeroPoint=np.zeros(rows, np.int64)) if dtype == INT8 else None
        )
        tensor = External(name, shape, dtype, len(self._buffers) - 1, scales, row_scales)
        self.externals.append(tensor)
        return tensor

    def constant(self, values: npt.NDArray[Any]) -> int:
        """Return the buffer of a small constant; equal ones are kept once."""
        key = (str(values.dtype), values.tobytes())
        if key not in self._constants:
            self._buffers.append(schema.BufferT(data=np.frombuffer(key[1], np.uint8)))
            self._constants[key] = len(self._buffers) - 1
        return self._constants[key]

    def metadata(self, name: str, text: str) -> None:
        """Add a named text."""
        self._buffers.append(schema.BufferT(data=np.frombuffer(text.encode(), np.uint8)))
        self._metadata.append(schema.MetadataT(name=name, buffer=len(self._buffers) - 1))

    def code(self, kind: str, version: int) -> int:
        """Return the index of an operator's code."""
        return self._codes.setdefault((kind, version), len(self._codes))

    def build(self) -> bytearray:
        """Return the flatbuffer, with places for the positions of what lies behind it."""
        codes = []
        for kind, version in self._codes:
            number = getattr(schema.BuiltinOperator, kind)
            # Codes above 127 do not fit the field that older readers look at: they see a placeholder there.
            codes.append(
                schema.OperatorCodeT(deprecatedBuiltinCode=min(number, 127), version=version, builtinCode=number)
            )
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            operatorCodes=codes,
            subgraphs=[subgraph.pack() for subgraph in self.subgraphs],
            description="EdgeKit",
            buffers=self._buffers,
            metadata=self._metadata,
            signatureDefs=[subgraph.signature(i) for i, subgraph in enumerate(self.subgraphs)],
        )
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytearray(builder.Output())


class Subgraph:
    """One signature's nodes."""

    def __init__(self, model: Flatbuffer, name: str) -> None:
        self.model, self.name = model, name
        model.subgraphs.append(self)
        self._tensors: list[Any] = []
        self._nodes: list[_Node] = []
        self._inputs: dict[str, int] = {}
        self._outputs: dict[str, int] = {}
        self._externals: dict[External, Value] = {}
        self._constants: dict[tuple[int, tuple[int, ...]], Value] = {}

    def input(self, name: str, shape: Sequence[int], dtype: int = FLOAT32) -> Value:
        """Declare an input."""
        value = self._tensor(f"{self.name}/{name}", shape, dtype)
        self._inputs[name] = value.index
        return value

    def output(self, name: str, value: Value) -> None:
        """Declare an output."""
        self._outputs[name] = value.index

    def constant(self, values: npt.NDArray[Any]) -> Value:
        """Return a small constant of float32 or int32."""
        buffer = self.model.constant(values)
        key = (buffer, values.shape)
        if key not in self._constants:
            dtype = FLOAT32 if values.dtype == np.float32 else INT32
            self._constants[key] = self._tensor(f"constant_{len(self._tensors)}", values.shape, dtype, buffer)
        return self._constants[key]

    def dtype(self, value: Value) -> int:
        """Return a value's type."""
        dtype: int = self._tensors[value.index].type
        return dtype

    def numbers(self, *values: int) -> Value:
        """Return an int32 vector."""
        return self.constant(np.asarray(values, np.int32))

    def number(self, value: float) -> Value:
        """Return a float32 scalar."""
        return self.constant(np.asarray(value, np.float32))

    def external(self, tensor: External) -> Value:
        """Return a tensor that lies behind the flatbuffer."""
        if tensor not in self._externals:
            self._externals[tensor] = self._tensor(
                tensor.name, tensor.shape, tensor.dtype, tensor.buffer, tensor.row_scales
            )
            if tensor.scales is not None:
                self.external(tensor.scales)
        return self._externals[tensor]

    def node(
        self,
        kind: str,
        inputs: Sequence[Value | None],
        shape: Sequence[int],
        options: Any = None,  # noqa: ANN401 - one of the schema's hundred classes
        *,
        dtype: int = FLOAT32,
        version: int = 1,
    ) -> Value:
        """Record a node and return its one output."""
        value = self._tensor(f"{kind.lower()}_{len(self._tensors)}", shape, dtype)
        code = self.model.code(kind, version)
        self._nodes.append(_Node(code, [-1 if x is None else x.index for x in inputs], value.index, options))
        return value

    def pack(self) -> Any:  # noqa: ANN401 - untyped
        """Return the schema's object, of the nodes that an output needs and of their tensors alone."""
        needed, nodes = set(self._outputs.values()), []
        for node in reversed(self._nodes):
            if node.output in needed:
                nodes.append(node)
                needed.update(node.inputs)
        blockwise = {
            value.index: tensor
            for tensor, value in self._externals.items()
            if tensor.scales is not None and value.index in needed
        }
        needed.update(self._externals[tensor.scales].index for tensor in blockwise.values() if tensor.scales)
        kept = sorted((needed | set(self._inputs.values())) - {-1})
        self._moved = {-1: -1} | {old: new for new, old in enumerate(kept)}
        for index, tensor in blockwise.items():
            self._tensors[index].quantization = self._blockwise(tensor)
        return schema.SubGraphT(
            tensors=[self._tensors[index] for index in kept],
            inputs=self._indices(self._inputs.values()),
            outputs=self._indices(self._outputs.values()),
            operators=[self._operator(node) for node in reversed(nodes)],
            name=self.name,
        )

    def signature(self, index: int) -> Any:  # noqa: ANN401 - untyped
        """Return the schema's object of the signature; `pack` comes first."""
        maps = [
            [schema.TensorMapT(name=name, tensorIndex=self._moved[k]) for name, k in ports.items()]
            for ports in (self._inputs, self._outputs)
        ]
        return schema.SignatureDefT(inputs=maps[0], outputs=maps[1], signatureKey=self.name, subgraphIndex=index)

    def _blockwise(self, tensor: External) -> Any:  # noqa: ANN401 - untyped
        assert tensor.scales is not None
        scales = self._moved[self._externals[tensor.scales].index]
        block = tensor.shape[1] // tensor.scales.shape[1]
        return schema.QuantizationParametersT(
            detailsType=schema.QuantizationDetails.BlockwiseQuantization,
            details=schema.BlockwiseQuantizationT(scales=scales, zeroPoints=-1, blockSize=block),
        )

    def _operator(self, node: _Node) -> Any:  # noqa: ANN401 - untyped
        options = node.options
        kind = 0 if options is None else getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        return schema.OperatorT(
            opcodeIndex=node.code,
            inputs=self._indices(node.inputs),
            outputs=self._indices([node.output]),
            builtinOptionsType=kind,
            builtinOptions=options,
        )

    def _indices(self, old: Any) -> npt.NDArray[np.int32]:  # noqa: ANN401 - any iterable of indices
        return np.asarray([self._moved[k] for k in old], np.int32)

    def _tensor(
        self, name: str, shape: Sequence[int], dtype: int, buffer: int = 0, quantization: object = None
    ) -> Value:
        shape = tuple(int(size) for size in shape)
        self._tensors.append(
            schema.TensorT(
                shape=np.asarray(shape, np.int32),
                type=dtype,
                buffer=buffer,
                name=name,
                quantization=quantization,
                hasRank=True,
            )
        )
        return Value(len(self._tensors) - 1, shape)


@dataclass(frozen=True)
class _Node:
    code: int
    inputs: list[int]
    output: int
    options: Any = field(default=None)


def patch(data: bytearray, model: Flatbuffer, places: dict[int, tuple[int, int]]) -> dict[str, int]:
    """Write positions and sizes of what lies behind the flatbuffer (`places`, by buffer) into it.

    Returns:
        Where each int8 tensor's scales lie within it, float32, by the tensor's name.
    """
    root = schema.Model.GetRootAs(data, 0)
    for buffer, (position, size) in places.items():
        table = root.Buffers(buffer)._tab
        struct.pack_into("<Q", data, table.Pos + table.Offset(BUFFER_OFFSET), position)
        struct.pack_into("<Q", data, table.Pos + table.Offset(BUFFER_SIZE), size)
    scales = {}
    wanted = {tensor.buffer: tensor.name for tensor in model.externals if tensor.row_scales is not None}
    for number in range(root.SubgraphsLength()):
        graph = root.Subgraphs(number)
        for k in range(graph.TensorsLength() if wanted else 0):
            tensor = graph.Tensors(k)
            name = wanted.pop(tensor.Buffer(), None)
            if name is not None:
                table = tensor.Quantization()._tab
                scales[name] = table.Vector(table.Offset(TENSOR_QUANTIZATION_SCALE))
    return scales

"""A recorder of ONNX nodes: names values, keeps constants inline and weights in one external file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from edgekit_exporters.packed import PackedFile, damaged_index

OPSET = 21
IR_VERSION = 10
DATA_FILE = "model.onnx.data"
INDEX_KEY = "edgekit.weights"


class Graph:
    """An ONNX graph while it is being recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = PackedFile(folder / DATA_FILE)
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: int | Sequence[str] = 1,
        *,
        microsoft: bool = False,
        **attributes: Any,  # noqa: ANN401 - ints, floats, texts and lists of them
    ) -> list[str]:
        """Record a node; `outputs` are names ("" leaves one out), or how many there are."""
        self._count += 1
        if isinstance(outputs, int):
            outputs = [f"{kind}_{self._count}_{k}" if outputs > 1 else f"{kind}_{self._count}" for k in range(outputs)]
        domain = "com.microsoft" if microsoft else ""
        name = f"{kind}_{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), list(outputs), name=name, domain=domain, **attributes))
        return list(outputs)

    def one(self, kind: str, *inputs: str, microsoft: bool = False, **attributes: Any) -> str:  # noqa: ANN401
        """Record a node with one output and return its name."""
        return self.node(kind, inputs, microsoft=microsoft, **attributes)[0]

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        """Declare an input."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        """Declare an output."""
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def constant(self, values: npt.ArrayLike, dtype: type = np.int64, name: str | None = None) -> str:
        """Return the name of a small constant; equal ones are kept once."""
        array: npt.NDArray[Any] = np.asarray(values, dtype=dtype)
        name = name or f"const_{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes().hex()}"
        if name not in self._initializers:
            self._initializers[name] = onnx.numpy_helper.from_array(array, name)
        return name

    def external(self, name: str, dtype: int, shape: Sequence[int], position: int, size: int) -> str:
        """Declare a weight that lies in the data file; several names may share a position."""
        tensor = TensorProto(name=name, data_type=dtype, dims=list(shape), data_location=TensorProto.EXTERNAL)
        for key, value in (("location", DATA_FILE), ("offset", position), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        self._initializers[name] = tensor
        return name

    def table(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """Return the name of a large constant, written to the data file at once."""
        if name not in self._initializers:
            position = self.data.reserve(values.nbytes)
            self.data.write(position, values)
            self.external(name, TensorProto.FLOAT, values.shape, position, values.nbytes)
        return name

    def save(self, index: str) -> onnx.ModelProto:
        """Write model.onnx beside its data and return it; `index` says where the weights lie, for `read_index`."""
        self._drop_unused()
        graph = helper.make_graph(
            self._nodes, "edgekit", self._inputs, self._outputs, initializer=list(self._initializers.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgekit")
        helper.set_model_props(model, {INDEX_KEY: index})
        self.data.close()
        save(model, self.folder / "model.onnx")
        return model

    def _drop_unused(self) -> None:
        """Ask no norm for a sum that nobody reads: it would be written to memory all the same."""
        used = {name for node in self._nodes for name in node.input} | {output.name for output in self._outputs}
        for node in self._nodes:
            if node.op_type.startswith("Skip"):
                while len(node.output) > 1 and node.output[-1] not in used:
                    del node.output[-1]


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a graph, the same bytes for the same graph."""
    path.write_bytes(model.SerializeToString(deterministic=True))


def read_index_text(folder: Path) -> str:
    """Return the weights' index of a written model.

    Raises:
        BundleError: the model is damaged, or none of ours.
    """
    path = folder / "model.onnx"
    try:
        model = onnx.load_model(str(path), load_external_data=False)
        return next(str(entry.value) for entry in model.metadata_props if entry.key == INDEX_KEY)
    except Exception as error:  # protobuf's own, or nothing found
        raise damaged_index(path, error) from error

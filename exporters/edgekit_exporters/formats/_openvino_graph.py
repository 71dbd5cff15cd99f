"""A recorder of OpenVINO IR: layers and edges as XML text, constants in one packed file beside it.

The form is that of IR version 11 (github.com/openvinotoolkit/openvino, src/frontends/ir): a port needs its precision
only, shapes are inferred when the file is read.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from edgekit_exporters.packed import PackedFile, damaged_index

XML_FILE = "openvino_model.xml"
DATA_FILE = "openvino_model.bin"
"""The names that OpenVINO GenAI and optimum-intel look for."""

INDEX_START, INDEX_END = '<edgekit_weights value="', '" />'

ELEMENTS = {
    "FP32": "f32",
    "FP16": "f16",
    "I64": "i64",
    "I32": "i32",
    "I8": "i8",
    "U8": "u8",
    "U4": "u4",
    "BOOL": "boolean",
}
PRECISIONS = {"float32": "FP32", "float16": "FP16", "int64": "I64", "int32": "I32", "bool": "BOOL"}


@dataclass(frozen=True)
class Port:
    """A layer's output, and its precision."""

    layer: int
    port: int
    precision: str


class Graph:
    """An IR while it is being recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = PackedFile(folder / DATA_FILE)
        self._layers: list[str] = []
        self._names: list[str] = []
        self._edges: list[tuple[Port, int, int]] = []
        self._marks: list[tuple[Port, int]] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Port] = {}

    def node(
        self,
        kind: str,
        inputs: Sequence[Port],
        precisions: Sequence[str],
        *,
        opset: int = 1,
        name: str = "",
        tensor: str = "",
        **attributes: str | float,
    ) -> list[Port]:
        """Record a layer with outputs of these precisions; `tensor` names its first output for callers."""
        layer = len(self._layers)
        self._edges.extend((source, layer, port) for port, source in enumerate(inputs))
        self._names.append(name or f"{kind}_{layer}")
        values = "".join(f" {key}={quoteattr(_text(value))}" for key, value in attributes.items())
        data = f"<data{values} />" if values else ""
        ins = "".join(f'<port id="{port}" precision="{source.precision}" />' for port, source in enumerate(inputs))
        outputs = [Port(layer, len(inputs) + k, precision) for k, precision in enumerate(precisions)]
        names = f" names={quoteattr(tensor)}" if tensor else ""
        outs = "".join(f'<port id="{o.port}" precision="{o.precision}"{names} />' for o in outputs)
        self._layers.append(
            f'<layer id="{layer}" name={quoteattr(self._names[layer])} type="{kind}" '
            f'version="opset{opset}">{data}{f"<input>{ins}</input>" if ins else ""}'
            f"{f'<output>{outs}</output>' if outs else ''}</layer>"
        )
        return outputs

    def one(
        self,
        kind: str,
        *inputs: Port,
        precision: str | None = None,
        opset: int = 1,
        name: str = "",
        tensor: str = "",
        **attributes: str | float,
    ) -> Port:
        """Record a layer with one output, of its first input's precision unless said otherwise."""
        precisions = [precision or inputs[0].precision]
        return self.node(kind, inputs, precisions, opset=opset, name=name, tensor=tensor, **attributes)[0]

    def parameter(self, name: str, precision: str, shape: str) -> Port:
        """Declare an input; `shape` is of the form "?,?"."""
        element = ELEMENTS[precision]
        return self.one("Parameter", precision=precision, name=name, tensor=name, shape=shape, element_type=element)

    def constant(self, values: npt.ArrayLike, dtype: type[np.generic] = np.int64) -> Port:
        """Return a small constant, written at once; equal ones are kept once."""
        array = np.asarray(values, dtype=dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            position = self.data.reserve(array.nbytes)
            self.data.write(position, array.reshape(-1))
            self._constants[key] = self.external(PRECISIONS[key[0]], array.shape, position, array.nbytes)
        return self._constants[key]

    def external(self, precision: str, shape: Sequence[int], position: int, size: int, name: str = "") -> Port:
        """Declare a constant that lies in the data file."""
        return self.one(
            "Const",
            precision=precision,
            name=name,
            element_type=ELEMENTS[precision],
            shape=",".join(map(str, shape)),
            offset=position,
            size=size,
        )

    def table(self, values: npt.NDArray[np.float32]) -> Port:
        """Return a large constant, written at once."""
        position = self.data.reserve(values.nbytes)
        self.data.write(position, values)
        return self.external("FP32", values.shape, position, values.nbytes)

    def mark(self, port: Port) -> None:
        """Remember that whoever uses this output from now on wants some of its rows only."""
        self._marks.append((port, len(self._edges)))

    def marked(self) -> str:
        """Return the inputs that marked outputs lead to, as "layer name:port" with commas between."""
        return ",".join(
            f"{self._names[layer]}:{port}"
            for marked, first in self._marks
            for source, layer, port in self._edges[first:]
            if source == marked
        )

    def save(self, index: str, details: dict[str, str]) -> None:
        """Write the XML beside its data; `index` says where the weights lie, `details` are for the runtime."""
        notes = "".join(f"<{key} value={quoteattr(value)} />" for key, value in details.items())
        with (self.folder / XML_FILE).open("w", encoding="utf-8", newline="\n") as file:
            file.write('<?xml version="1.0"?>\n<net name="edgekit" version="11">\n<layers>\n')
            file.writelines(f"{layer}\n" for layer in self._layers)
            file.write("</layers>\n<edges>\n")
            file.writelines(
                f'<edge from-layer="{source.layer}" from-port="{source.port}" to-layer="{layer}" to-port="{port}" />\n'
                for source, layer, port in self._edges
            )
            file.write(f"</edges>\n<rt_info>\n<edgekit>{notes}</edgekit>\n")
            file.write(f"{INDEX_START}{html.escape(index)}{INDEX_END}\n</rt_info>\n</net>\n")
        self.data.close()


def read_index_text(folder: Path) -> str:
    """Return the weights' index of a written model: one line near the end of the XML.

    Raises:
        BundleError: it has none.
    """
    path = folder / XML_FILE
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(INDEX_START):
                return html.unescape(line.strip().removeprefix(INDEX_START).removesuffix(INDEX_END))
    raise damaged_index(path, LookupError("there is none"))


def _text(value: str | float) -> str:
    """Return a value as OpenVINO reads it: booleans in lower case, floats with all their digits."""
    return str(value).lower() if isinstance(value, bool) else str(value)

"""What a compiled model is in the cache: the engine's graph, without the weights, in a form that it can take back.

OpenVINO (2026.4) exports a compiled model as XML and constants, and imports it without transforming it again, which is
most of a load. Two things are in the way, and both are moved into operations of our own, which the XML names and
which are replaced by the engine's own when it is read:
- It forgets the numbers of heads and their sizes, notes of paged attention that its import demands
  (src/plugins/intel_cpu/src/nodes/paged_attn.cpp; only notes of some classes are written, see
  src/core/src/xml_util/xml_serialize_util.cpp).
- Its import takes weights from another file only with operations that its plugin knows
  (src/plugins/intel_cpu/src/utils/graph_serializer/deserializer.cpp).

The XML is reached by the callbacks that are meant for encrypting it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

OPSET = "edgekit"
WEIGHT, ATTENTION = "Weight", "PagedAttention"
"""The types of our two operations."""

PLACE = "WeightlessCacheAttribute"
"""The engine's note of where in the file of weights a constant lies."""

_CONSTANT = re.compile(
    r'(?P<name><layer id="\d+" name="[^"]*") type="Const" version="opset1">\s*<data (?P<data>[^>]*)/>\s*'
    r"<rt_info>(?P<notes>[^<]*(?:<attribute [^>]*>[^<]*)*)</rt_info>"
)
_TAG = re.compile(r"<attribute [^>]*/>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')

CONVERTED = {"f16": np.float16, "f32": np.float32, "i32": np.int32, "i64": np.int64}
"""Element types that constants are converted between. Any type will do for those that are as they were."""


Build = Callable[[list[Any], dict[str, str]], Any]
"""Makes a node of inputs and attributes."""


class NotStorableError(ValueError):
    """A model has something that would not come back as it was."""


def export_settings() -> dict[str, Any]:
    """Return the setting to compile a model with, so that its export can be taken back."""
    return {"CACHE_ENCRYPTION_CALLBACKS": [_rewrite, _same]}


def prepare(ov: Any, core: Any, weights: Bytes) -> dict[str, Any]:  # noqa: ANN401
    """Teach `core` our operations over a mapped file of weights, and return the setting to import with."""
    core.add_extension(_weight_operation(ov, weights))
    core.add_extension(_attention_operation(ov))
    return {"CACHE_ENCRYPTION_CALLBACKS": [_same, _same]}


def _same(data: bytes) -> bytes:
    return data


def _rewrite(data: bytes) -> bytes:
    """Name our operations where the engine's own would not come back."""
    text = _CONSTANT.sub(_rewrite_constant, data.decode())
    text = text.replace('type="PagedAttentionExtension" version="extension"', f'type="{ATTENTION}" version="{OPSET}"')
    if f'name="{PLACE}"' in text or 'write_kv_cache="false"' in text:
        raise NotStorableError("the engine's graph has a form that is not known")
    return text.encode()


def _rewrite_constant(layer: re.Match[str]) -> str:
    """Return a layer whose values lie in the file of weights with their place; any other as it is."""
    note = next((tag for tag in _TAG.findall(layer["notes"]) if f'name="{PLACE}"' in tag), None)
    if note is None:
        return layer[0]
    noted, data = dict(_ATTRIBUTE.findall(note)), dict(_ATTRIBUTE.findall(layer["data"]))
    element_type, stored = data["element_type"], _type_name(noted["original_dtype"])
    if stored != element_type and not {stored, element_type} <= set(CONVERTED):
        raise NotStorableError(f"a constant of {element_type} made from {stored}")
    place = f'stored="{stored}" place="{noted["bin_offset"]}" bytes="{noted["original_size"]}"'
    return (
        f'{layer["name"]} type="{WEIGHT}" version="{OPSET}">'
        f'<data element_type="{element_type}" shape="{data["shape"]}" {place} />'
        f"<rt_info>{layer['notes'].replace(note, '')}</rt_info>"
    )


def _type_name(precision: str) -> str:
    """Return the name of an element type that an IR calls FP16 or U4."""
    name = precision.lower()
    return name[0] + name[2:] if name.startswith("fp") else name.replace("bool", "boolean")


def _weight_operation(ov: Any, weights: Bytes) -> type:  # noqa: ANN401
    """Return the operation that becomes a constant over the file's own memory."""

    def constant(_: list[Any], noted: dict[str, str]) -> Any:  # noqa: ANN401
        first, size = int(noted["place"]), int(noted["bytes"])
        shape = [int(length) for length in noted["shape"].split(",") if length.strip()]
        stored, wanted = (getattr(ov.Type, noted[name]) for name in ("stored", "element_type"))
        # The engine would read beyond the array without an error.
        if first < 0 or first + size > len(weights) or size != (math.prod(shape) * stored.bitwidth + 7) // 8:
            raise NotStorableError(f"{size} bytes at {first} of {len(weights)} for {shape}")
        raw = weights[first : first + size]
        if stored == wanted:
            return ov.op.Constant(ov.Tensor(raw, ov.Shape(shape), stored), shared_memory=True)
        values = raw.view(CONVERTED[noted["stored"]]).astype(CONVERTED[noted["element_type"]])
        return ov.op.Constant(values.reshape(shape), shared_memory=True)

    return _operation(ov, WEIGHT, ("element_type", "shape", "stored", "place", "bytes"), constant)


def _attention_operation(ov: Any) -> type:  # noqa: ANN401
    """Return the operation that becomes the engine's paged attention, with its notes."""

    def attention(inputs: list[Any], _: dict[str, str]) -> Any:  # noqa: ANN401
        node = ov.op._PagedAttentionExtension(inputs)
        notes = node.get_rt_info()
        for part, port in (("k", 1), ("v", 2)):
            heads = node.get_input_partial_shape(port + 2)[1].get_length()
            notes[f"num_{part}_heads"] = heads
            notes[f"{part}_head_size"] = node.get_input_partial_shape(port)[1].get_length() // heads
        return node

    return _operation(ov, ATTENTION, (), attention)


def _operation(ov: Any, name: str, attributes: tuple[str, ...], build: Build) -> type:  # noqa: ANN401
    """Return an operation that is nothing but the node that `build` makes."""
    kind = ov.DiscreteTypeInfo(name, OPSET)

    class Operation(ov.Op):  # type: ignore[misc]
        """What the engine makes of a layer of the type."""

        class_type_info = kind

        def __init__(self) -> None:
            super().__init__(self)
            self._inputs: list[Any] = []

        @staticmethod
        def get_type_info() -> Any:  # noqa: ANN401
            return kind

        def set_arguments(self, inputs: list[Any]) -> None:
            self._inputs = inputs

        def visit_attributes(self, visitor: Any) -> bool:  # noqa: ANN401
            found = dict.fromkeys(attributes, "")
            visitor.on_attributes(found)
            self._node = build(self._inputs, found)
            # The node has checked itself.
            return False

        def outputs(self) -> list[Any]:
            return list(self._node.outputs())

    return Operation

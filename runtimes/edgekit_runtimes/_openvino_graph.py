"""What is changed in a read model before it is compiled: the paged form, wanted rows, windows, LongRoPE's reach.

The file itself stays as OpenVINO's own tools expect it.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from edgekit.errors import BundleError
from edgekit.spec import DecoderSpec

ROWS, REACH = "edgekit_rows", "edgekit_reach"
"""Inputs that are added: which rows' logits are wanted, int64 [rows]; the total length to come, an int64 scalar."""

TOTAL = "edgekit_total"
WINDOW_INPUT = 10
"""PagedAttentionExtension's input that says how many positions a token sees; 0 is all of them."""


class Hooks:
    """The places in a model that are changed, found by the names that the format gave them."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - the engine's own type
        self._model = model
        nodes = {node.get_friendly_name(): node for node in model.get_ops()}
        self.total = nodes.get(TOTAL)
        rows = note(model, "rows")
        try:
            places = [entry.rpartition(":") for entry in rows.split(",")]
            self.consumers = [nodes[name].input(int(port)) for name, _, port in places]
        except (KeyError, ValueError, RuntimeError) as error:
            raise BundleError(
                f"the model's note of its rows, {rows[:100]!r}, fits none of its layers", "export the bundle again"
            ) from error

    def install(self, ov: Any, axis: int) -> None:  # noqa: ANN401
        """Gather the wanted rows along `axis` before what is computed row by row, and let the reach be given."""
        ops = ov.opset8
        rows = _parameter(ops, ROWS, [-1])
        gathered: dict[tuple[str, int], Any] = {}
        for consumer in self.consumers:
            source = consumer.get_source_output()
            key = source.get_node().get_friendly_name(), source.get_index()
            if key not in gathered:
                gathered[key] = ops.gather(source, rows, ops.constant(np.int64(axis)))
            consumer.replace_source_output(gathered[key].output(0))
        added = [rows]
        if self.total is not None:
            reach = _parameter(ops, REACH, [])
            for target in self.total.output(0).get_target_inputs():
                target.replace_source_output(reach.output(0))
            added.append(reach)
        self._model.add_parameters(added)
        self._model.validate_nodes_and_infer_types()


def can_be_paged(spec: DecoderSpec) -> bool:
    """Say whether the engine's paged attention can hold every layer: it has no cap on scores.

    Layers with unequal numbers of heads are computed wrongly where the key heads are as many (OpenVINO 2026.4),
    without an error.
    """
    return all(layer.softcap is None for layer in spec.layers) and len({layer.heads for layer in spec.layers}) <= 1


def make_paged(ov: Any, model: Any, spec: DecoderSpec) -> bool:  # noqa: ANN401
    """Turn every layer's state into paged attention; False where this version of the engine misses one.

    The transformation finds windows by the patterns of masks, and one that it misses is silently no window: they are
    set from the spec. Layers follow one another, so the order of their nodes is theirs.
    """
    transformation = importlib.import_module("openvino._offline_transformations").paged_attention_transformation
    transformation(model)
    nodes = [node for node in model.get_ordered_ops() if node.get_type_name() == "PagedAttentionExtension"]
    if len(nodes) != len(spec.layers) or any(node.get_type_name() == "ReadValue" for node in model.get_ops()):
        return False
    for node, layer in zip(nodes, spec.layers, strict=True):
        window = ov.opset8.constant(np.int32(layer.window or 0))
        node.input(WINDOW_INPUT).replace_source_output(window.output(0))
    return True


def note(model: Any, key: str) -> str:  # noqa: ANN401
    """Return what the format noted for the runtime, "" where it did not."""
    path = ["edgekit", key]
    return str(model.get_rt_info(path).value) if model.has_rt_info(path) else ""


def _parameter(ops: Any, name: str, shape: list[int]) -> Any:  # noqa: ANN401
    parameter = ops.parameter(shape, np.int64, name=name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter

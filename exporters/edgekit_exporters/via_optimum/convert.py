"""The process that has OpenVINO convert an ONNX graph to its IR, and quantizes that where it is asked to."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from edgekit_exporters.quantization import Encoding, encode
from edgekit_exporters.via_optimum.process import Tell, serve

INT8 = Encoding(8, zero_point=True)


def main(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Convert the float32 graph at `onnx` to `xml` and the weights beside it, quantized to `quantization`."""
    tell("convert with OpenVINO")
    # `import openvino` reports to a collector, unless this package cannot be imported.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what makes an import fail
    import openvino

    model = openvino.convert_model(request["onnx"])
    applied = quantize(model) if request["quantization"] == "int8" else {}
    # Where the runtime looks for it, to compute floats as floats.
    model.set_rt_info(request["quantization"], ["quantization"])
    openvino.save_model(model, request["xml"], compress_to_fp16=False)
    return {"applied": applied}


def quantize(model: Any) -> dict[str, str]:  # noqa: ANN401 - an openvino Model
    """Compress the weights of products and the table of tokens to int8, and return what was applied.

    A classifier's last product stays float32.
    """
    from openvino import opset13 as ops

    made: dict[tuple[str, bool], Any] = {}

    def compressed(source: Any, turned: bool) -> Any:  # noqa: ANN401 - a Constant; a Node that gives its rows back
        """The pattern is NNCF's, which the CPU plugin computes with the compressed values."""
        key = (source.get_friendly_name(), turned)
        if key not in made:
            made[key] = compress(source.data.T if turned else source.data)
        return made[key]

    def compress(rows: Any) -> Any:  # noqa: ANN401
        encoded = encode(np.ascontiguousarray(rows), INT8)
        assert encoded.scales is not None
        assert encoded.zero_points is not None
        values = ops.convert(ops.constant(encoded.values.astype(np.uint8)), "f16")
        zeros = ops.convert(ops.constant(encoded.zero_points), "f16")
        scales = ops.constant(encoded.scales.astype(np.float16))
        return ops.convert(ops.multiply(ops.subtract(values, zeros), scales), "f32")

    kinds = set()
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "MatMul" and _is_matrix(node, 1) and not _gives_labels(node, model):
            weight, attributes = node.input_value(1).get_node(), node.get_attributes()
            rows = compressed(weight, turned=not attributes["transpose_b"])
            new = ops.matmul(node.input_value(0), rows, attributes["transpose_a"], True)
            kinds.add("linear")
        elif kind == "Gather" and _is_matrix(node, 0) and _is_parameter(node.input_value(1).get_node()):
            rows = compressed(node.input_value(0).get_node(), turned=False)
            new = ops.gather(rows, node.input_value(1), node.input_value(2))
            kinds.add("embed")
        else:
            continue
        new.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(new.output(0))
    return {kind: str(INT8) for kind in sorted(kinds)}


def _is_matrix(node: Any, index: int) -> bool:  # noqa: ANN401
    """Whether an input is a constant, float32 [rows, columns]."""
    source = node.input_value(index).get_node()
    if source.get_type_name() != "Constant" or len(source.get_output_shape(0)) != 2:
        return False
    return bool(source.data.dtype == np.float32)


def _is_parameter(node: Any) -> bool:  # noqa: ANN401
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Parameter")


def _gives_labels(node: Any, model: Any) -> bool:  # noqa: ANN401
    """Whether a classifier ends with this product, and perhaps a bias."""
    if "logits" not in model.output(0).get_names():
        return False
    following = node
    for _ in range(2):
        targets = list(following.output(0).get_target_inputs())
        if len(targets) != 1:
            return False
        following = targets[0].get_node()
        if following.get_type_name() == "Result":
            return True
        if following.get_type_name() != "Add":
            return False
    return bool(following.get_type_name() == "Result")


if __name__ == "__main__":
    serve(main)

"""The same ONNX graph over a smaller cache: float16, or int8 with a scale per channel.

GroupQueryAttention converts as it writes and reads the cache, so only the types of the cache change, and for int8 the
node's attributes and its inputs `k_scale` and `v_scale` (the 13th and 14th). The variants share the weights' file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgekit_exporters.weights import Float32

FILES = {"f32": "model.onnx", "f16": "model.kv_f16.onnx", "int8": "model.kv_int8.onnx"}
"""The graph for each precision of the cache."""

HEADROOM = np.float32(1.5)
"""A calibration text does not show the largest key there will ever be; what lies beyond is cut off."""

SCALE_INPUT = 12


def over_f16_cache(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph over a float16 cache."""
    return _retyped(model, TensorProto.FLOAT16)


def over_int8_cache(model: onnx.ModelProto, scales: Mapping[str, Float32]) -> onnx.ModelProto:
    """Return the graph over an int8 cache.

    Args:
        model: The graph over float32.
        scales: By cache name ("3.key", "3.value"), float32 [kv_heads * head_dim] as the engine computes heads.
    """
    variant = _retyped(model, TensorProto.INT8)
    for node in variant.graph.node:
        if node.op_type != "GroupQueryAttention":
            continue
        node.input.extend([""] * (SCALE_INPUT - len(node.input)))
        for output in node.output[1:]:
            name = output.removeprefix("present.")
            variant.graph.initializer.append(onnx.numpy_helper.from_array(scales[name], f"{output}.scale"))
            node.input.append(f"{output}.scale")
        node.attribute.extend(
            [
                helper.make_attribute("k_quant_type", "PER_CHANNEL"),
                helper.make_attribute("v_quant_type", "PER_CHANNEL"),
                helper.make_attribute("kv_cache_bit_width", 8),
            ]
        )
    return variant


def scale_of(largest: Float32) -> Float32:
    """Return the scales of channels by their largest magnitudes; silent channels get a share of the loudest's."""
    floor = np.maximum(largest.max() * np.float32(1e-3), np.float32(1e-6))
    return (np.maximum(largest, floor) * HEADROOM / np.float32(127)).astype(np.float32)


def _retyped(model: onnx.ModelProto, dtype: int) -> onnx.ModelProto:
    variant = onnx.ModelProto()
    variant.CopyFrom(model)
    for value in (*variant.graph.input, *variant.graph.output):
        if value.name.startswith(("past_key_values.", "present.")):
            value.type.tensor_type.elem_type = dtype
    return variant

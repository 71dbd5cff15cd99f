"""What ONNX Runtime takes in memory (1.32 on x86-64; measured, see `benchmarks/parts/plan.py`).

When a session is opened, the weights of every product are copied into the order its kernels read (prepacking), and the
pages they came from are given back, but for scales and zero points.
"""

from __future__ import annotations

from edgekit.planning.footprint import CACHE_BYTES, CHUNK, PYTHON, TEXTS, Footprint, Use
from edgekit.planning.outline import FormatOutline, cached, layer_count, width
from edgekit.spec import DecoderSpec

FILE_INT8, FILE_INT4 = 36 / 32, 20.5 / 32
"""Bytes of a weight in the file: blocks of 32 with a float scale, at 4 bits with a zero point."""
PACKED_INT8, PACKED_INT4 = 40 / 32, 24 / 32
"""The same once packed: with a float for the sum of each block."""
MAPPED_INT8, MAPPED_INT4 = 4 / 32, 4.5 / 32
"""What stays mapped."""
ARENA, ENCODER_ARENA = 2.8, 1.25
"""Memory that the allocator keeps, beside what a layer's widest values need: more where prompts differ in length."""
PROGRAM, LAYER = 38_000_000, 150_000
"""The engine's code and what it keeps for itself, and of a layer of the graph."""


def footprint(outline: FormatOutline, use: Use) -> Footprint:
    """Return the memory of a model."""
    spec = outline.spec
    if outline.quantization == "none":
        copies, mapped = float(outline.matrices), float(outline.tables)
    else:
        int8, int4 = outline.counts(FILE_INT8, FILE_INT4)
        copies = PACKED_INT8 * int8 + PACKED_INT4 * int4
        mapped = MAPPED_INT8 * int8 + MAPPED_INT4 * int4 + outline.tables
    decodes = isinstance(spec, DecoderSpec)
    values = ARENA * min(use.context, CHUNK) if decodes else ENCODER_ARENA * TEXTS
    size = CACHE_BYTES["f32" if use.kv == "auto" else use.kv]
    return Footprint(
        mapped=round(mapped),
        copies=round(copies),
        cache=round(cached(spec) * use.context * size),
        activations=round(values * 4 * width(spec)),
        program=PYTHON + PROGRAM + LAYER * layer_count(spec),
    )

"""What OpenVINO takes in memory (2026.4 on x86-64; measured, see `benchmarks/parts/plan.py`).

The file of weights is mapped. At the first pass every product rearranges its weights into memory of its own; the pages
they came from stay until the system wants them. Scales and zero points of 4-bit blocks become floats when it is loaded.
"""

from __future__ import annotations

from edgekit.machine import Processor
from edgekit.planning.footprint import CACHE_BYTES, CHUNK, PYTHON, TEXTS, Footprint, Use
from edgekit.planning.outline import FormatOutline, cached, layer_count, multiplied, width
from edgekit.spec import DecoderSpec

EXPANDS = "OpenVINO has no 4-bit kernels on Arm: it expands the weights to 16 bits, four times their memory"
EXPANDED = 2
"""Bytes of such a weight."""
FILE_INT8, FILE_INT4 = 1.003, 18.5 / 32
"""Bytes of a weight in the file: per row, and in blocks of 32 with a scale of 16 bits and a zero point."""
PACKED_INT8, PACKED_INT4 = 1.0, 24 / 32
"""The same in memory, with both as floats."""
PROGRAM, LAYER = 68_000_000, 750_000
"""The engine's code and what it keeps for itself, and of a layer of the graph."""
NOTES = 8
"""Bytes of scale and zero point beside a head's 8-bit keys, or values, of a token."""
ARENA, ENCODER_ARENA = 0.75, 1.0
"""Of a layer's widest values, as float32: much is computed in place, or in 16 bits."""


FEW = 0.01
"""The share of weights kept at 4 bits below which it does not matter what becomes of them."""


def expands(outline: FormatOutline, processor: Processor) -> bool:
    """Say whether the engine expands a model's weights."""
    if not processor.is_arm or outline.quantization != "keep":
        return processor.is_arm and outline.quantization == "int4"
    return outline.counts(FILE_INT8, FILE_INT4)[1] > FEW * multiplied(outline.spec)


def footprint(outline: FormatOutline, use: Use, *, paged: bool) -> Footprint:
    """Return the memory of a model."""
    spec = outline.spec
    values = ARENA * min(use.context, CHUNK) if isinstance(spec, DecoderSpec) else ENCODER_ARENA * TEXTS
    int8, int4 = outline.counts(FILE_INT8, FILE_INT4)
    if outline.quantization == "none":
        mapped, copies = float(outline.weights), float(outline.matrices)
    else:
        mapped = int8 + int4 / 2 + outline.tables * (not outline.tied)
        copies = PACKED_INT8 * int8 + (EXPANDED if expands(outline, use.processor) else PACKED_INT4) * int4
    return Footprint(
        mapped=round(mapped),
        copies=round(copies),
        cache=use.context * _token_bytes(outline, use, paged=paged),
        activations=round(values * 4 * width(spec)),
        program=PYTHON + PROGRAM + LAYER * layer_count(spec),
    )


def _token_bytes(outline: FormatOutline, use: Use, *, paged: bool) -> int:
    """Return the bytes of the cache for a token."""
    spec = outline.spec
    if not isinstance(spec, DecoderSpec):
        return 0
    kv = use.kv
    if kv == "auto":
        kv = "int8" if paged and outline.quantization != "none" else "f32"
    notes = sum(2 * layer.kv_heads * NOTES for layer in spec.layers) if kv == "int8" else 0
    return round(cached(spec) * CACHE_BYTES[kv]) + notes

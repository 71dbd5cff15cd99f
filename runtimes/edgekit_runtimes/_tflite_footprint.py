"""What LiteRT takes in memory (2.3 on x86-64; measured, see `benchmarks/parts/plan.py`).

XNNPACK's packed weights are a mapped file, as large as what they are made of; of the model's own file, the tables are
read, and the scales of 4-bit blocks, at which XNNPACK looks when it is loaded. Each signature keeps a graph, and memory
for its values once it is used.
"""

from __future__ import annotations

from edgekit.planning.footprint import PYTHON, Footprint, Use
from edgekit.planning.outline import FormatOutline, cached, heads, layer_count, width
from edgekit.spec import DecoderSpec

TOKENS = 128
"""What the widest signature computes at once: of a prompt, or of a text."""
FILE_INT8, FILE_INT4 = 1.003, 18 / 32
"""Bytes of a weight in the file: per row, and in blocks of 32 with a scale of 16 bits."""
SCALES = 2 / 32
"""Of it, the bytes of a 4-bit weight's share of a scale."""
SCORES = 3
"""Copies of the scores: as they are computed, masked and normalised."""
PROGRAM, LAYER = 29_000_000, 200_000
"""The engine's code and what it keeps for itself, and of a layer in each signature."""


def footprint(outline: FormatOutline, use: Use) -> Footprint:
    """Return the memory of a model."""
    spec = outline.spec
    scores = SCORES * heads(spec) * use.context if isinstance(spec, DecoderSpec) else 0
    _, int4 = outline.counts(FILE_INT8, FILE_INT4) if outline.quantization != "none" else (0, 0)
    signatures = len(outline.details.get("signatures", ())) or 1
    return Footprint(
        mapped=outline.matrices + outline.tables + round(SCALES * int4),
        copies=0,
        cache=4 * cached(spec) * use.context,
        activations=4 * TOKENS * (width(spec) + scores),
        program=PYTHON + PROGRAM + LAYER * layer_count(spec) * signatures,
    )

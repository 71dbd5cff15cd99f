"""The figures of `verify`: how far two sets of logits are apart, and what counts as near enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit_exporters.weights import Float32

FLOAT_MARGIN = 0.01
"""Float bundles: positions whose two best logits are nearer than this may swap by rounding alone."""
FLOAT_ERROR = 1e-3
QUANTIZED_MARGIN = 0.15
"""Quantized bundles: in standard deviations of the reference's logits."""
QUANTIZED_TOP1 = 0.99
QUANTIZED_RMS = 0.08


@dataclass(frozen=True)
class Fidelity:
    """Measured logits against the reference's, computed with the same weights."""

    positions: int
    top1: float
    """Share of all positions with the same best token."""
    decided: int
    """Positions where the reference's margin is large enough to demand the same token."""
    top1_decided: float
    max_error: float
    """Largest difference, over the largest logit by magnitude."""
    rms_error: float
    """Root mean square of the difference, over that of the reference."""
    passed: bool


@dataclass(frozen=True)
class Loss:
    """Measured logits against the unquantized checkpoint's."""

    positions: int
    top1: float
    kl: float
    """Mean Kullback-Leibler divergence from the checkpoint's distribution, in nats."""
    perplexity: float
    perplexity_unquantized: float


def fidelity(measured: Float32, reference: Float32, *, exact: bool) -> Fidelity:
    """Compare logits [n, vocab]; `exact` for float bundles, which must agree within rounding."""
    ordered = np.partition(reference, -2, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    same = measured.argmax(axis=1) == reference.argmax(axis=1)
    decided = margin >= FLOAT_MARGIN if exact else margin > QUANTIZED_MARGIN * reference.std()
    difference = measured.astype(np.float64) - reference
    max_error = float(np.abs(difference).max() / np.abs(reference).max())
    rms_error = float(np.sqrt(np.square(difference).mean() / np.square(reference, dtype=np.float64).mean()))
    top1_decided = float(same[decided].mean()) if decided.any() else 1.0
    if exact:
        passed = top1_decided == 1.0 and max_error <= FLOAT_ERROR
    else:
        passed = top1_decided >= QUANTIZED_TOP1 and rms_error <= QUANTIZED_RMS
    return Fidelity(
        positions=len(reference),
        top1=float(same.mean()),
        decided=int(decided.sum()),
        top1_decided=top1_decided,
        max_error=max_error,
        rms_error=rms_error,
        passed=bool(passed),
    )


def loss(measured: Float32, truth: Float32, ids: npt.NDArray[np.int64]) -> Loss:
    """Compare logits [n, vocab] after ids [n]; perplexity is that of ids[1:]."""
    ours, theirs = log_softmax(measured), log_softmax(truth)
    following = (np.arange(len(ids) - 1), ids[1:])
    return Loss(
        positions=len(ids),
        top1=float((measured.argmax(axis=1) == truth.argmax(axis=1)).mean()),
        kl=float((np.exp(theirs) * (theirs - ours)).sum(axis=1).mean()),
        perplexity=float(np.exp(-ours[following].mean())) if len(ids) > 1 else 1.0,
        perplexity_unquantized=float(np.exp(-theirs[following].mean())) if len(ids) > 1 else 1.0,
    )


def log_softmax(logits: Float32) -> npt.NDArray[np.float64]:
    """Return log probabilities [n, vocab]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    out: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out

"""How far a classifier's probabilities can be trusted: calibration, and the threshold under which it abstains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.classification.classifier import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Confusion, Figures

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BINS = 15


def log_probabilities(logits: npt.NDArray[np.floating], temperature: float = 1.0) -> Float64:
    """Return float64 [n, labels]."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    out: Float64 = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return out


def loss(logits: Float32, targets: Int64, temperature: float) -> float:
    """Return the mean negative log-probability of the right labels."""
    return float(-log_probabilities(logits, temperature)[np.arange(len(targets)), targets].mean())


def fit_temperature(logits: Float32, targets: Int64) -> float:
    """Return what to divide logits by so that probabilities come true (Guo et al., 2017, arXiv 1706.04599).

    Right labels count as right with (n + 1) / (n + 2) only, as in Platt's scaling (1999): where every text came out
    right, the likelihood alone would want certainty.

    Args:
        logits: float32 [n, labels], of texts that the head was not fitted on.
        targets: The index of each text's label.
    """
    rows, scores = np.arange(len(targets)), logits.astype(np.float64)
    doubt = 1 / (len(targets) + 2)
    aim = (1 - doubt) * scores[rows, targets] + doubt * scores.mean(axis=1)
    low, high = np.log(1 / HIGHEST_TEMPERATURE), np.log(1 / LOWEST_TEMPERATURE)
    # The loss is convex in the inverse temperature: halve the interval in which its slope changes sign.
    for _ in range(50):
        middle = (low + high) / 2
        expected = (np.exp(log_probabilities(scores, float(np.exp(-middle)))) * scores).sum(axis=1)
        low, high = (low, middle) if (expected - aim).mean() > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def fit_threshold(probabilities: Float64, right: Bools, accuracy: float) -> float:
    """Return the lowest threshold above which texts are right as often as asked for.

    That holds with a standard error to spare (Wilson's lower bound), so few texts make it careful. Where no threshold
    does it, the result is the one that comes nearest.

    Args:
        probabilities: [n], of the likeliest label of each text.
        right: [n], whether that is the text's label.
        accuracy: The share that is to be right.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, count = probabilities[order], np.arange(1, len(order) + 1)
    bound = _lower_bound(np.cumsum(right[order]) / count, count)
    # Texts of one probability are all above a threshold or none.
    possible = np.append(ranked[1:] < ranked[:-1], True)
    bound[~possible] = -1
    enough = np.flatnonzero(bound >= accuracy)
    last = int(enough[-1]) if len(enough) else int(bound.argmax())
    return float((ranked[last] + ranked[last + 1]) / 2) if last + 1 < len(ranked) else 0.0


def _lower_bound(share: Float64, count: Int64) -> Float64:
    """Return Wilson's lower bound of a share at one standard error (Wilson, 1927)."""
    spread = np.sqrt(share * (1 - share) / count + 1 / (4 * count**2))
    return (share + 1 / (2 * count) - spread) / (1 + 1 / count)


def calibration_error(probabilities: Float64, right: Bools) -> float:
    """Return the expected calibration error over 15 bins of equal width (Naeini et al., 2015).

    That is how far the mean probability of a bin is from the share of it that is right, weighed by the bin's size.
    """
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=probabilities - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(probabilities))


def figures_of(
    logits: Float32, labels: Sequence[str], truth: Sequence[str], temperature: float, threshold: float
) -> Figures:
    """Return how good these logits [n, labels] are; `truth` may have labels that the classifier does not know."""
    probabilities = np.exp(log_probabilities(logits, temperature))
    best = probabilities.argmax(axis=1)
    predicted, largest = [labels[index] for index in best], probabilities.max(axis=1)
    right = np.asarray([a == b for a, b in zip(truth, predicted, strict=True)])
    answered = largest >= threshold
    pairs: dict[tuple[str, str], int] = {}
    for pair in zip(truth, predicted, strict=True):
        pairs[pair] = pairs.get(pair, 0) + 1
    return Figures(
        texts=len(truth),
        accuracy=float(right.mean()),
        calibration_error=calibration_error(largest, right),
        answered=float(answered.mean()),
        answered_accuracy=float(right[answered].mean()) if answered.any() else None,
        confusions=tuple(Confusion(label=a, predicted=b, count=n) for (a, b), n in sorted(pairs.items())),
    )

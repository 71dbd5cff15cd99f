"""Softmax regression with numpy alone, small enough for the device that will run the classifier.

Minimises the mean cross-entropy plus strength / 2 · |weights|² by L-BFGS (Nocedal & Wright, Numerical Optimization,
2nd edition, algorithms 7.4 and 7.5). Vectors are centred and brought to a mean squared length of 1 first, so that a
strength means the same for every encoder; the result is for the vectors as they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edgekit.classification.linear_head import LinearHead

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

HISTORY = 10
"""Steps that L-BFGS remembers."""
MAX_STEPS = 200
TOLERANCE = 1e-3
"""Done when the gradient is this small beside the one at zero weights: further steps change no label."""
SUFFICIENT = 1e-4
"""The share of the decrease that the slope promises which a step must bring (Armijo's condition)."""
HALVINGS = 30


def path(vectors: Float32, targets: Int64, labels: int, strengths: Sequence[float]) -> Iterator[LinearHead]:
    """Yield the solution for each strength, each starting from the one before: give the strongest first.

    Args:
        vectors: [n, width].
        targets: [n], the index of each vector's label.
        labels: How many labels there are; one without an example gets a low bias and no weights to speak of.
        strengths: What multiplies half the squared length of the weights; all above 0.
    """
    centre = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - centre.astype(np.float32)
    scale = float(np.sqrt((centred.astype(np.float32) ** 2).sum(axis=1).mean(dtype=np.float64))) or 1.0
    centred /= np.float32(scale)
    point = np.zeros((labels, vectors.shape[1] + 1))
    least = float(np.linalg.norm(_objective(centred, targets, 0.0)(point)[1])) * TOLERANCE
    for strength in strengths:
        point = minimise(_objective(centred, targets, strength), point, least)
        weight = point[:, :-1] / scale
        yield LinearHead(weight.astype(np.float32), (point[:, -1] - weight @ centre).astype(np.float32))


def _objective(vectors: Float32, targets: Int64, strength: float) -> Callable[[Float64], tuple[float, Float64]]:
    """Return the function of [labels, width + 1] (the bias last) that gives the loss and its gradient."""
    count, rows = len(vectors), np.arange(len(vectors))

    def loss_and_gradient(point: Float64) -> tuple[float, Float64]:
        weight = point[:, :-1]
        # The large products in float32, which is all that their inputs have; sums in float64.
        scores = vectors @ weight.T.astype(np.float32) + point[:, -1].astype(np.float32)
        scores -= scores.max(axis=1, keepdims=True)
        chosen = scores[rows, targets].astype(np.float64)
        np.exp(scores, out=scores)
        totals = scores.sum(axis=1, dtype=np.float64)
        loss = float((np.log(totals) - chosen).mean()) + strength / 2 * float((weight**2).sum())
        scores /= totals[:, None].astype(np.float32)
        scores[rows, targets] -= 1
        gradient = np.empty_like(point)
        gradient[:, :-1] = (scores.T @ vectors) / count + strength * weight
        gradient[:, -1] = scores.sum(axis=0, dtype=np.float64) / count
        return loss, gradient

    return loss_and_gradient


def minimise(function: Callable[[Float64], tuple[float, Float64]], start: Float64, least: float) -> Float64:
    """Return where a smooth convex function is least, to a gradient of length `least`, by L-BFGS."""
    point = start
    value, gradient = function(point)
    steps: deque[tuple[Float64, Float64]] = deque(maxlen=HISTORY)
    for _ in range(MAX_STEPS):
        if np.linalg.norm(gradient) <= least:
            break
        direction = -_scaled(gradient, steps)
        slope = float((gradient * direction).sum())
        length = 1.0 if steps else 1 / max(float(np.linalg.norm(gradient)), 1e-12)
        for _ in range(HALVINGS):
            candidate = point + length * direction
            new_value, new_gradient = function(candidate)
            if new_value <= value + SUFFICIENT * length * slope:
                break
            length /= 2
        else:
            break  # what is left is below the rounding of the sums
        step, change = candidate - point, new_gradient - gradient
        if float((step * change).sum()) > 0:
            steps.append((step, change))
        point, value, gradient = candidate, new_value, new_gradient
    return point


def _scaled(gradient: Float64, steps: deque[tuple[Float64, Float64]]) -> Float64:
    """Return the gradient times the inverse curvature that the last steps tell of (algorithm 7.4)."""
    direction = gradient.copy()
    shares = []
    for step, change in reversed(steps):
        share = float((step * direction).sum() / (step * change).sum())
        direction -= share * change
        shares.append(share)
    if steps:
        step, change = steps[-1]
        direction *= float((step * change).sum() / (change * change).sum())
    for (step, change), share in zip(steps, reversed(shares), strict=True):
        direction += step * (share - float((change * direction).sum() / (step * change).sum()))
    return direction

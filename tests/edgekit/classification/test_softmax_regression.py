from __future__ import annotations

import numpy as np
import pytest

from edgekit.classification.softmax_regression import minimise, path


def problem(count: int = 90, width: int = 6, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(labels, width))
    targets = np.arange(count) % labels
    vectors = centres[targets] + rng.normal(size=(count, width)) * 1.5 + 5
    return vectors.astype(np.float32), targets


def slopes(vectors: np.ndarray, targets: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, ...]:
    """The gradient of the mean cross-entropy, by the textbook, in float64."""
    scores = vectors.astype(np.float64) @ weight.T + bias
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    excess = odds / odds.sum(axis=1, keepdims=True) - np.eye(len(bias))[targets]
    return excess.T @ vectors / len(vectors), excess.mean(axis=0)


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
def test_the_solution_is_where_the_gradient_vanishes(strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.classification.softmax_regression.TOLERANCE", 1e-5)
    vectors, targets = problem()
    scale = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean()
    (head,) = path(vectors, targets, 3, [strength])
    weights, bias = slopes(vectors, targets, head.weight, head.bias)
    # The penalty is on weights of vectors that were divided by the square root of `scale`.
    assert np.abs(weights + strength * scale * head.weight).max() < 1e-4
    assert np.abs(bias).max() < 1e-5


def test_a_path_comes_to_the_same_as_each_strength_alone() -> None:
    vectors, targets = problem()
    strengths = [1e-1, 1e-2, 1e-3]
    for head, strength in zip(path(vectors, targets, 3, strengths), strengths, strict=True):
        (alone,) = path(vectors, targets, 3, [strength])
        np.testing.assert_allclose(head.logits(vectors), alone.logits(vectors), atol=0.05)


def test_units_and_origin_of_the_vectors_do_not_matter() -> None:
    vectors, targets = problem()
    (a,) = path(vectors, targets, 3, [1e-2])
    (b,) = path(vectors * 100 - 30, targets, 3, [1e-2])
    np.testing.assert_allclose(a.logits(vectors), b.logits(vectors * 100 - 30), atol=0.02)


def test_a_label_without_an_example_is_not_chosen() -> None:
    vectors, targets = problem()
    (head,) = path(vectors, targets, 4, [1e-3])
    assert head.logits(vectors).argmax(axis=1).max() < 3


def test_vectors_that_are_all_the_same_give_the_shares_of_the_labels() -> None:
    vectors, targets = np.ones((10, 4), np.float32), np.asarray([0] * 7 + [1] * 3)
    (head,) = path(vectors, targets, 2, [1e-3])
    odds = np.exp(head.logits(vectors[:1])[0])
    np.testing.assert_allclose(odds / odds.sum(), [0.7, 0.3], atol=1e-2)


def test_minimise_finds_the_least_of_a_stretched_bowl() -> None:
    weights, aim = np.asarray([1.0, 1e4]), np.asarray([3.0, -2.0])
    found = minimise(lambda x: (float((weights * (x - aim) ** 2).sum()), 2 * weights * (x - aim)), np.zeros(2), 1e-6)
    np.testing.assert_allclose(found, aim, atol=1e-6)

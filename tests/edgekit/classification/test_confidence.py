from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.classification.confidence import calibration_error, figures_of, fit_temperature, fit_threshold, loss


def drawn(temperature: float, count: int = 4000, labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn with the probabilities that these have at a temperature."""
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(count, labels)).astype(np.float32) * 3
    # The largest of logits with Gumbel noise is a draw from their softmax.
    return logits, (logits / temperature + rng.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    logits, targets = drawn(temperature)
    found = fit_temperature(logits, targets)
    assert found == pytest.approx(temperature, rel=0.08)
    assert loss(logits, targets, found) <= min(loss(logits, targets, found * f) for f in (0.9, 1.1)) + 1e-6


def test_few_texts_that_are_all_right_do_not_make_certain() -> None:
    logits = np.eye(4, dtype=np.float32)
    temperature = fit_temperature(logits, np.arange(4))
    likeliest = np.exp(-loss(logits, np.arange(4), temperature))
    assert 0.7 < likeliest < 0.9  # Platt's target for four texts is 5/6


def test_probabilities_that_come_true_have_no_error() -> None:
    logits, targets = drawn(1.0, 20_000)
    odds = np.exp(logits.astype(np.float64))
    odds /= odds.sum(axis=1, keepdims=True)
    right = odds.argmax(axis=1) == targets
    assert calibration_error(odds.max(axis=1), right) < 0.015
    assert calibration_error(np.full(10, 0.95), np.arange(10) < 5) == pytest.approx(0.45)


cases = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99]), st.booleans()), min_size=1, max_size=60
)


@given(cases, st.sampled_from([0.5, 0.8, 0.97]))
def test_what_is_above_the_threshold_is_right_as_often_as_asked(
    case: list[tuple[float, bool]], accuracy: float
) -> None:
    probabilities, right = np.asarray([p for p, _ in case]), np.asarray([ok for _, ok in case])
    threshold = fit_threshold(probabilities, right, accuracy)
    answered = probabilities >= threshold
    assert answered.any()

    def bound(least: float) -> float:
        """Wilson's lower bound, as the solution of (share - p)² = p (1 - p) / n."""
        chosen = right[probabilities >= least]
        share, n = chosen.mean(), len(chosen)
        return float(np.roots([1 + 1 / n, -(2 * share + 1 / n), share**2]).real.min())

    bounds = {least: bound(least) for least in sorted(set(probabilities.tolist()))}
    lowest = min(probabilities[answered])
    enough = [least for least, value in bounds.items() if value >= accuracy - 1e-12]
    if enough:
        assert lowest == min(enough)
    else:
        assert bounds[lowest] == pytest.approx(max(bounds.values()))


def test_figures_count_labels_that_are_not_known_as_errors() -> None:
    logits = np.log(np.asarray([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.45, 0.55]], np.float32))
    found = figures_of(logits, ["a", "b"], ["a", "other", "b", "a"], 1.0, 0.7)
    assert (found.texts, found.accuracy, found.answered) == (4, 0.5, 0.75)
    assert found.answered_accuracy == pytest.approx(2 / 3)
    assert [(c.label, c.predicted, c.count) for c in found.confusions] == [
        ("a", "a", 1), ("a", "b", 1), ("b", "b", 1), ("other", "a", 1),
    ]  # fmt: skip
    assert figures_of(logits, ["a", "b"], ["a"] * 4, 1.0, 0.95).answered_accuracy is None

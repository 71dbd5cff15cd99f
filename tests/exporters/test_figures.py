from __future__ import annotations

import math

import numpy as np
import pytest

from edgekit_exporters.figures import FLOAT_ERROR, QUANTIZED_MARGIN, QUANTIZED_RMS, fidelity, log_softmax, loss
from edgekit_exporters.weights import Float32

RNG = np.random.default_rng(4)


def logits(n: int = 200, vocab: int = 50) -> Float32:
    return RNG.normal(size=(n, vocab)).astype(np.float32)


def test_the_same_is_perfect() -> None:
    reference = logits()
    for exact in (True, False):
        found = fidelity(reference.copy(), reference, exact=exact)
        assert found.passed
        assert (found.top1, found.top1_decided, found.max_error, found.rms_error) == (1.0, 1.0, 0.0, 0.0)
        assert found.positions == 200


def test_the_errors_are_relative() -> None:
    reference = logits()
    largest = np.abs(reference).max()
    measured = reference.copy()
    measured[3, 4] += 0.5 * largest
    assert fidelity(measured, reference, exact=True).max_error == pytest.approx(0.5)
    assert fidelity(reference * np.float32(1.05), reference, exact=False).rms_error == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize(("share", "passed"), [(0.9, True), (1.1, False)])
def test_float_bundles_are_held_to_the_largest_difference(share: float, passed: bool) -> None:
    reference = logits()
    reference[:, 7] += 20  # the best token stays the same
    measured = reference.copy()
    measured[0, 0] += share * FLOAT_ERROR * np.abs(reference).max()
    assert fidelity(measured, reference, exact=True).passed == passed


@pytest.mark.parametrize(("share", "passed"), [(0.9, True), (1.1, False)])
def test_quantized_bundles_are_held_to_the_mean_difference(share: float, passed: bool) -> None:
    reference = logits()
    assert fidelity(reference * np.float32(1 + share * QUANTIZED_RMS), reference, exact=False).passed == passed


def test_positions_without_a_clear_best_token_do_not_decide() -> None:
    reference = np.zeros((100, 10), np.float32)
    reference[:, 0] = 1.0
    close = QUANTIZED_MARGIN * reference.std() * 0.5
    reference[:50, 1] = 1.0 - close
    measured = reference.copy()
    measured[:50, 1] += 2 * close
    found = fidelity(measured, reference, exact=False)
    assert (found.top1, found.decided, found.top1_decided) == (0.5, 50, 1.0)
    measured[60, 2] = 2.0
    found = fidelity(measured, reference, exact=False)
    assert found.top1_decided == pytest.approx(0.98)
    assert not found.passed


def test_a_single_swap_fails_a_float_bundle() -> None:
    reference = logits()
    reference[:, 7] += 20
    measured = reference.copy()
    measured[9, 8] = measured[9, 7] + np.float32(1e-3)
    assert not fidelity(measured, reference, exact=True).passed


def test_log_probabilities_sum_to_one_even_of_large_logits() -> None:
    values = logits() * np.float32(1000)
    assert np.exp(log_softmax(values)).sum(axis=1) == pytest.approx(np.ones(200))
    np.testing.assert_allclose(log_softmax(values), log_softmax(values + np.float32(4096)), atol=0.2)


def test_the_loss_of_nothing_is_nothing() -> None:
    truth, ids = logits(), RNG.integers(0, 50, 200)
    found = loss(truth.copy(), truth, ids)
    assert (found.positions, found.top1, found.kl) == (200, 1.0, 0.0)
    assert found.perplexity == found.perplexity_unquantized


def test_perplexity_of_knowing_nothing_is_the_vocabulary() -> None:
    flat = np.zeros((20, 50), np.float32)
    found = loss(flat, flat, RNG.integers(0, 50, 20))
    assert found.perplexity == pytest.approx(50)


def test_perplexity_is_that_of_the_following_tokens() -> None:
    ids = np.array([0, 1, 2])
    sure = np.full((3, 4), -100.0, np.float32)
    sure[0, 1] = sure[1, 2] = 100.0
    flat = np.zeros((3, 4), np.float32)
    found = loss(sure, flat, ids)
    assert found.perplexity == pytest.approx(1)
    assert found.perplexity_unquantized == pytest.approx(4)
    assert loss(flat[:1], flat[:1], ids[:1]).perplexity == 1.0


def test_the_divergence_is_the_textbooks() -> None:
    truth = np.log(np.array([[0.5, 0.5]], np.float32))
    measured = np.log(np.array([[0.9, 0.1]], np.float32))
    expected = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert loss(measured, truth, np.array([0])).kl == pytest.approx(expected, rel=1e-5)

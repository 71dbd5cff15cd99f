from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import EdgekitError, UsageError
from edgekit.sampling import Float32, Sampler, Sampling, kept, log_probability


def expected(logits: Float32, past: list[int], sampling: Sampling) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return every token's probability, computed as transformers' processors do: sort all, one after another."""
    scores = logits.astype(np.float64)
    for token in set(past):
        scores[token] *= sampling.repetition_penalty if scores[token] < 0 else 1 / sampling.repetition_penalty
    scores /= sampling.temperature
    if sampling.top_k:
        scores[scores < np.sort(scores)[-min(sampling.top_k, len(scores))]] = -np.inf
    if sampling.top_p < 1:
        order = np.argsort(scores, kind="stable")
        share = softmax(scores)[order].cumsum()
        out = share <= 1 - sampling.top_p
        out[-1] = False
        scores[order[out]] = -np.inf
    if sampling.min_p:
        share = softmax(scores)
        scores[share < sampling.min_p * share.max()] = -np.inf
    return softmax(scores)


def softmax(scores: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def normal(size: int, seed: int = 0) -> Float32:
    return (np.random.default_rng(seed).standard_normal(size) * 3).astype(np.float32)


SETTINGS = [
    Sampling(temperature=1.0),
    Sampling(temperature=0.7, top_k=5),
    Sampling(temperature=1.5, top_p=0.8),
    Sampling(temperature=1.2, min_p=0.1),
    Sampling(temperature=0.9, top_k=12, top_p=0.9, min_p=0.05, repetition_penalty=1.3),
    Sampling(temperature=1.0, repetition_penalty=0.5),
]


@pytest.mark.parametrize("sampling", SETTINGS)
def test_draws_follow_the_exact_probabilities(sampling: Sampling) -> None:
    logits, past = normal(20), [3, 7, 7, 11]
    probabilities = expected(logits, past, sampling)
    draws = 2000
    seeded = Sampler(Sampling(**{**vars(sampling), "seed": 5}))
    padded = past * 1  # the same tokens were there, at ever new positions
    counts = np.zeros(20)
    for _ in range(draws):
        counts[seeded.choose(logits, padded)[0]] += 1
        padded.append(7)
    possible = probabilities > 0
    assert not counts[~possible].any()
    chi_squared = (((counts - draws * probabilities) ** 2)[possible] / (draws * probabilities[possible])).sum()
    freedom = max(1, int(possible.sum()) - 1)
    # Wilson and Hilferty's cube root is close to normal: four standard deviations.
    cube = (chi_squared / freedom) ** (1 / 3)
    assert (cube - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom)) < 4


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.sampled_from([1, 2, 17, 300, 9000]),
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 400),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
)
def test_what_is_kept_is_what_transformers_keeps(
    seed: int, size: int, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    logits = normal(size, seed)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    probabilities = expected(logits, [], sampling)
    ids, weights = kept(logits, sampling)
    found = np.zeros(size)
    found[slice(None) if ids is None else ids] = weights / weights.sum(dtype=np.float64)
    # A token whose share lies on a border within float32's rounding may be in or out.
    assert np.abs(found - probabilities).max() <= max(2e-5, 1.5 * edge(logits, sampling))


def edge(logits: Float32, sampling: Sampling) -> float:
    """Return how much the result moves if the borders move by float32's rounding."""
    results = [
        expected(logits, [], Sampling(**{**vars(sampling), "top_p": top_p, "min_p": min_p}))
        for top_p in (max(sampling.top_p - 2e-6, 1e-6), min(sampling.top_p + 2e-6, 1.0))
        for min_p in (sampling.min_p * (1 - 2e-5), min(sampling.min_p * (1 + 2e-5), 1.0))
    ]
    return float(max(np.abs(a - b).max() for a in results for b in results))


def test_many_equal_logits() -> None:
    logits = np.zeros(1000, np.float32)
    ids, _ = kept(logits, Sampling(temperature=1.0, top_k=10))
    assert ids is not None
    assert len(ids) == 1000
    ids, _ = kept(logits, Sampling(temperature=1.0, top_p=0.5))
    assert ids is not None
    assert ids.tolist() == list(range(500))


def test_greedy_takes_the_likeliest_after_the_penalty() -> None:
    logits = np.array([1.0, 3.0, 2.9, -1.0], np.float32)
    assert Sampler(Sampling()).choose(logits, [])[0] == 1
    assert Sampler(Sampling(repetition_penalty=1.1)).choose(logits, [1])[0] == 2
    assert Sampler(Sampling(repetition_penalty=1.1)).choose(logits, [1, 2, 2])[0] == 1
    negative = np.array([-1.0, -1.05], np.float32)
    assert Sampler(Sampling(repetition_penalty=1.1)).choose(negative, [0])[0] == 1


def test_the_log_probability_is_the_models_own() -> None:
    logits = normal(50)
    token, logprob = Sampler(Sampling(temperature=0.3, top_k=3, repetition_penalty=2.0, seed=1)).choose(logits, [4])
    assert logprob == pytest.approx(math.log(softmax(logits.astype(np.float64))[token]), abs=1e-6)


def test_logits_are_left_as_they_are() -> None:
    logits = normal(50)
    before = logits.copy()
    for sampling in SETTINGS:
        Sampler(sampling).choose(logits, [1, 2])
    assert (logits == before).all()


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    logits = np.zeros(1000, np.float32)

    def draws(seed: int | None) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.0, seed=seed))
        return [sampler.choose(logits, [0] * length)[0] for length in range(5, 25)]

    assert draws(3) == draws(3)
    assert draws(3) != draws(4)
    assert draws(None) != draws(None)


def test_a_draw_depends_on_its_position_only() -> None:
    logits = np.zeros(1000, np.float32)
    sampling = Sampling(temperature=1.0, seed=9)
    whole = Sampler(sampling)
    at_once = [whole.choose(logits, [0] * length)[0] for length in range(20)]
    part = Sampler(sampling)
    assert [part.choose(logits, [0] * length)[0] for length in (*range(12, 20), *range(5))] == [
        *at_once[12:],
        *at_once[:5],
    ]


def test_a_small_temperature_is_the_argmax() -> None:
    logits = normal(5000)
    for temperature in (1e-3, 1e-30, 1e-300):
        assert Sampler(Sampling(temperature=temperature, seed=1)).choose(logits, [])[0] == int(logits.argmax())


def test_excluded_tokens_are_never_drawn() -> None:
    logits = np.full(3000, -np.inf, np.float32)
    logits[[5, 2999]] = 0.0
    for sampling in (Sampling(temperature=1.0, seed=1), Sampling(temperature=1.0, top_k=50, top_p=0.99, seed=1)):
        sampler = Sampler(sampling)
        assert {sampler.choose(logits, [0] * length)[0] for length in range(50)} == {5, 2999}
    assert Sampler(Sampling()).choose(logits, [])[1] == pytest.approx(-math.log(2))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite(value: float) -> None:
    logits = normal(10)
    logits[3] = value
    with pytest.raises(EdgekitError, match="not finite"):
        Sampler(Sampling()).choose(logits, [])
    with pytest.raises(EdgekitError, match="not finite"):
        log_probability(np.full(3, -np.inf, np.float32), 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "hot"),
        ("temperature", True),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", None),
        ("top_k", -1),
        ("top_k", 2.5),
        ("min_p", -0.1),
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", -1.0),
        ("seed", -1),
        ("seed", 1.5),
    ],
)
def test_values_out_of_range(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{name} is {value!r}"):
        Sampling(**{name: value})  # type: ignore[arg-type]

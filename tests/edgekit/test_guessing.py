from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from echo_decoder import EchoDecoder, Rule, counting
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.decoding import Session
from edgekit.draft_model import ModelDrafter
from edgekit.generation import Options, Reply, generate
from edgekit.guessing import ALLOWANCE, LONGEST, RUN_SHARE, SHARE, Draft, Drafter, Guesses, Ids, PromptLookup
from edgekit.pass_costs import PassCosts
from edgekit.sampling import Sampling
from edgekit.session import DecoderSession

CHEAP = PassCosts(((1, 1.0), (16, 1.6)))
DEAR = PassCosts(((1, 1.0), (2, 1.9), (16, 15.0)))
CHANGING = PassCosts(((1, 1.0), (16, 1.6)), change=0.3)


def opened(rule: Rule | None = None, costs: PassCosts = CHEAP, **sizes: int) -> DecoderSession:
    return DecoderSession(EchoDecoder(rule, **sizes), pass_costs=costs)


def answer(prompt: Sequence[int], session: Session, drafter: Drafter | None, options: Options | None = None) -> Reply:
    generation = generate(session, prompt, options or Options(max_tokens=24), drafter=drafter)
    for _ in generation:
        pass
    return generation.reply


def cycling(tokens: Sequence[int]) -> int:
    return (tokens[-1] + 1) % 6


def sometimes(tokens: Sequence[int]) -> int:
    """Mostly the next of a cycle, so that guesses are right and then wrong."""
    return (tokens[-1] + (1 if sum(tokens) % 5 else 2)) % 6


@pytest.mark.parametrize(
    ("history", "most", "expected"),
    [
        ([1, 2, 3, 9, 1, 2], 3, [3, 9, 1]),
        ([1, 2, 7, 1, 2, 8, 1, 2], 2, [8, 1]),  # the latest of two
        ([5, 1, 2, 7, 9, 1, 2, 8, 5, 1, 2], 1, [7]),  # the longer of two runs
        ([4, 4, 4, 4], 5, [4, 4, 4, 4, 4]),  # round and round
        ([1, 2, 1, 2], 6, [1, 2, 1, 2, 1, 2]),
        ([1, 2, 3, 4], 3, []),
        ([1, 1], 3, []),
        ([3], 3, []),
    ],
)
def test_what_followed_earlier_is_expected_again(history: list[int], most: int, expected: list[int]) -> None:
    assert PromptLookup().propose(np.array(history, np.int64), most).tokens.tolist() == expected


@settings(deadline=None, max_examples=60)
@given(
    prompt=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    temperature=st.sampled_from([0.0, 0.7, 2.0]),
    costs=st.sampled_from([CHEAP, DEAR, CHANGING, PassCosts()]),
    tokens=st.integers(1, 40),
    by_model=st.booleans(),
)
def test_guesses_change_nothing_but_the_passes(
    prompt: list[int], temperature: float, costs: PassCosts, tokens: int, by_model: bool
) -> None:
    options = Options(sampling=Sampling(temperature=temperature, seed=4), max_tokens=tokens)
    plain = answer(prompt, opened(sometimes), None, options)
    session = opened(sometimes, costs)
    drafter = ModelDrafter(opened(cycling), 0.1) if by_model else PromptLookup()
    guessed = answer(prompt, session, drafter, options)
    assert guessed.tokens == plain.tokens
    assert guessed.logprobs == pytest.approx(plain.logprobs, abs=1e-6)
    assert session.tokens == (*prompt, *plain.tokens[:-1])
    timings = guessed.timings
    assert timings.passes == timings.decode_tokens - timings.accepted_tokens
    assert timings.accepted_tokens <= timings.guessed_tokens


def test_where_everything_repeats_a_pass_gives_many_tokens() -> None:
    reply = answer([0, 1, 2, 3, 4, 5] * 3, opened(cycling, context=300), PromptLookup(), Options(max_tokens=200))
    assert reply.timings.decode_tokens == 199
    assert reply.timings.passes < 199 / 6


def test_a_drafts_right_model_saves_passes() -> None:
    session = opened(counting)
    reply = answer([1], session, ModelDrafter(opened(counting), 0.05))
    assert reply.tokens == tuple(range(2, 26))
    assert reply.timings.passes < 8


def test_without_a_table_of_costs_nothing_is_guessed() -> None:
    reply = answer([0, 1, 2] * 4, opened(cycling, PassCosts()), PromptLookup())
    assert reply.timings.guessed_tokens == 0


def test_guesses_stay_within_context_answer_and_border() -> None:
    decoder = EchoDecoder(cycling, context=40)
    session = DecoderSession(decoder, border=30, pass_costs=CHEAP)
    prompt = [0, 1, 2, 3, 4, 5] * 4
    reply = answer(prompt, session, PromptLookup(), Options())
    assert len(reply.tokens) == 40 - 24 + 1
    assert session.length == 40
    # Guesses end at the border; the pass that crosses it computes everything again with the second table.
    assert decoder.computed == [24, 6, 40]


def test_a_closed_answer_leaves_no_guesses_behind() -> None:
    session = opened(cycling, context=200)
    generation = generate(session, [0, 1, 2, 3, 4, 5] * 3, Options(max_tokens=100), drafter=PromptLookup())
    for _ in range(9):
        next(generation)
    generation.close()
    assert generation.reply.timings.guessed_tokens > 0
    assert session.tokens == (*[0, 1, 2, 3, 4, 5] * 3, *generation.reply.tokens)[: session.length]
    assert session.length <= 18 + len(generation.reply.tokens)


class Wrong:
    """Is never right, and sure of itself."""

    cost = 0.0

    def first_estimate(self, kind: int) -> float:
        return 0.95

    def propose(self, history: Ids, most: int) -> Draft:
        return Draft(np.full(most, 49, np.int64), 0)


@pytest.mark.parametrize("costs", [CHEAP, DEAR, CHANGING, PassCosts(((1, 1.0), (2, 1.1), (4, 1.6), (8, 2.6)))])
@pytest.mark.parametrize("new", [1, 3, 16, 40])
def test_wrong_guesses_cost_little(costs: PassCosts, new: int) -> None:
    guesses, spent, before = Guesses(Wrong(), lambda: costs), 0.0, new
    history = np.zeros(80, np.int64)
    for _ in range(300):
        count = len(guesses.propose(history, new, 100))
        assert new + count <= max(new, LONGEST)
        spent += costs.of(new + count) - costs.of(new) + (costs.change if new + count != before else 0)
        before = new + count
        if count:
            guesses.learn(count, 0)
    believed = ALLOWANCE + SHARE * 300
    assert spent <= (believed if not costs.change else believed / RUN_SHARE)


def test_an_engine_that_prepares_anew_for_another_number_of_tokens_is_kept_at_one() -> None:
    cheap, changing = (
        answer([0, 1, 2, 3, 4, 5] * 3, opened(cycling, costs, context=400), PromptLookup(), Options(max_tokens=300))
        for costs in (CHEAP, CHANGING)
    )
    assert changing.tokens == cheap.tokens
    assert changing.timings.passes < 300 / 6

    sizes = []
    guesses = Guesses(PromptLookup(), lambda: CHANGING)
    for _ in range(9):
        sizes.append(len(guesses.propose(np.arange(60) % 5, 1, 99)))
        guesses.learn(sizes[-1], 3)
    assert len(set(sizes[2:])) == 1


@pytest.mark.slow
def test_draws_with_guesses_have_the_models_distribution() -> None:
    """A chi-squared test over 20,000 draws of one token that a guess precedes."""
    prompt, seeds = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1], 20_000
    logits = opened(sometimes, vocab_size=8).forward(np.array([*prompt, 2]))[-1].astype(np.float64) / 8
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    session, found, guessed = opened(sometimes, vocab_size=8), Counter[int](), 0
    for seed in range(seeds):
        options = Options(sampling=Sampling(temperature=8.0, seed=seed), max_tokens=3)
        reply = answer(prompt, session, PromptLookup(), options)
        if reply.tokens[0] != 2:
            continue
        found[reply.tokens[1]] += 1
        guessed += reply.timings.accepted_tokens
    total = sum(found.values())
    assert total > seeds / 4
    assert guessed > 100
    statistic = sum((found[k] - total * share) ** 2 / (total * share) for k, share in enumerate(expected))
    # 7 degrees of freedom: 29.9 is exceeded by chance once in ten thousand.
    assert statistic < 29.9

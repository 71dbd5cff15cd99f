"""What passes cost: measured behind what a session holds, remembered, and asked for only where something is guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from echo_decoder import EchoDecoder

from edgekit.generation import Options, generate
from edgekit.guessing import PromptLookup
from edgekit.pass_costs import PassCosts
from edgekit.pass_timing import ROUNDS, SIZES, costs_here, measure
from edgekit.session import DecoderSession
from edgekit.speeds import Passes, pass_costs

PROMPT = [3, 1, 4, 1, 5]


class Clock:
    """Goes on by what a pass costs: `cost(tokens)`, and `change` where the one before had another number of tokens."""

    def __init__(self, cost: Callable[[int], float], change: float = 0.0) -> None:
        self.now, self._cost, self._change, self._last = 0.0, cost, change, 0

    def __call__(self) -> float:
        return self.now

    def watch(self, session: DecoderSession) -> DecoderSession:
        computed = session.forward

        def forward(tokens: np.ndarray, last: int = 1) -> np.ndarray:
            self.now += self._cost(len(tokens)) + self._change * (len(tokens) != self._last)
            self._last = len(tokens)
            return computed(tokens, last)

        session.forward = forward  # type: ignore[method-assign, assignment]
        return session


def opened(context: int = 64, border: int | None = None) -> DecoderSession:
    session = DecoderSession(EchoDecoder(context=context), border=border)
    session.forward(PROMPT)
    return session


@pytest.mark.parametrize("change", [0.0, 0.3])
def test_costs_are_relative_to_one_token_and_changes_are_told_apart(change: float) -> None:
    session = opened()
    clock = Clock(lambda tokens: 0.5 + 0.1 * tokens, 0.6 * change)
    found = measure(clock.watch(session), clock)
    assert found is not None
    assert found.costs == pytest.approx({str(size): (0.5 + 0.1 * size) / 0.6 for size in SIZES})
    assert found.change == pytest.approx(change)
    assert session.tokens == tuple(PROMPT)


def test_a_busy_moment_makes_no_pass_dearer_than_a_longer_one() -> None:
    passes = iter(range(100))  # the fifth is the one over two tokens that counts
    clock = Clock(lambda tokens: 9.0 if next(passes) == 4 else 1.0 + 0.05 * tokens)
    found = measure(clock.watch(opened()), clock)
    assert found is not None
    assert found.costs["2"] == found.costs["4"] == pytest.approx(1.2 / 1.05)


def test_quick_passes_are_measured_several_times_so_that_busy_moments_do_not_count() -> None:
    passes = iter(range(1000))
    clock = Clock(lambda tokens: 1e-3 * (1 + 0.05 * tokens) * (7.0 if next(passes) % 15 == 13 else 1.0), 2e-4)
    found = measure(clock.watch(opened()), clock)
    assert next(passes) == 15 * ROUNDS
    assert found is not None
    assert found.costs["2"] == pytest.approx(1.1 / 1.05)
    assert found.costs["4"] == pytest.approx(1.2 / 1.05)
    assert found.change == pytest.approx(0.2 / 1.05)


@pytest.mark.parametrize(("context", "border"), [(5 + max(SIZES) - 1, None), (64, 5), (64, 5 + max(SIZES) - 1)])
def test_without_room_nothing_is_measured(context: int, border: int | None) -> None:
    session = opened(context, border)
    assert measure(session) is None
    assert costs_here(session, "key") is None


@pytest.mark.parametrize("border", [4, 5 + max(SIZES)])
def test_a_border_that_no_pass_crosses_is_no_obstacle(border: int) -> None:
    assert measure(opened(border=border)) is not None


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_measured_is_remembered_for_the_same_key(cache: Path) -> None:
    first = costs_here(opened(), "key")
    (file,) = (cache / "passes").iterdir()
    file.write_text(json.dumps({"costs": {"2": 1.25, "4": 1.5, "16": 2.5}, "change": 0.1}), encoding="utf-8")
    assert first is not None
    assert costs_here(opened(), "key") == PassCosts(((1, 1.0), (2, 1.25), (4, 1.5), (16, 2.5)), 0.1)
    costs_here(opened(), "another")
    assert len(list((cache / "passes").iterdir())) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", '{"costs": {"x": 1.0}}', '{"costs": {"2": "much"}}', '{"costs": {"1": 1.0}}']
)
def test_a_record_that_is_damaged_is_measured_again(cache: Path, text: str) -> None:
    costs_here(opened(), "key")
    (file,) = (cache / "passes").iterdir()
    file.write_text(text, encoding="utf-8")
    found = costs_here(opened(), "key")
    assert found is not None
    assert [tokens for tokens, _ in found.sizes] == [1, *SIZES]
    assert found == pass_costs(Passes(**json.loads(file.read_text(encoding="utf-8"))))


def test_a_folder_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("in the way", encoding="utf-8")
    assert costs_here(opened(), "key") is not None


@pytest.mark.parametrize(("period", "asked"), [(4, 1), (50, 0)])
def test_costs_are_asked_for_once_and_only_where_something_is_guessed(period: int, asked: int) -> None:
    calls, prompt = [], [token % period for token in range(12)]

    def costs(session: DecoderSession) -> PassCosts:
        calls.append(session.length)
        found = measure(session, clock=iter(range(1000)).__next__)
        assert found is not None
        return pass_costs(found)

    session = DecoderSession(EchoDecoder(lambda tokens: (tokens[-1] + 1) % period, context=200), pass_costs=costs)
    plain = DecoderSession(EchoDecoder(lambda tokens: (tokens[-1] + 1) % period, context=200))
    replies = []
    for each, drafter in ((session, PromptLookup()), (plain, None)):
        generation = generate(each, np.array(prompt), Options(max_tokens=20), drafter=drafter)
        for _ in generation:
            pass
        replies.append(generation.reply.tokens)
    assert len(calls) == asked
    assert replies[0] == replies[1]

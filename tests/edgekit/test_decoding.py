"""The loop against a naive one: a token at a time, every row of logits computed for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from echo_decoder import EchoDecoder
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.chat import Message
from edgekit.decoding import Constraint
from edgekit.draft_model import ModelDrafter
from edgekit.generation import Generation, Options, Reply, generate
from edgekit.guessing import Drafter, PromptLookup
from edgekit.pass_costs import PassCosts
from edgekit.rolling import Rolling
from edgekit.sampling import Float32, Sampler, Sampling
from edgekit.session import DecoderSession

VOCAB, END = 12, 11
CHEAP = PassCosts(((1, 1.0), (16, 1.6)))


def sometimes(tokens: Sequence[int]) -> int:
    """Mostly the next of a cycle, so that guesses are right and then wrong; now and then the end."""
    return END if sum(tokens) % 41 == 7 else (tokens[-1] + (1 if sum(tokens) % 5 else 2)) % 6


def cycling(tokens: Sequence[int]) -> int:
    return (tokens[-1] + 1) % 6


class Even:
    """Forbids a token after its like, forces some tokens behind every third one, and is whole at a multiple of 19."""

    def __init__(self) -> None:
        self._taken: list[int] = []

    @property
    def finished(self) -> bool:
        return bool(self._taken) and sum(self._taken) % 19 == 0

    def start(self) -> Sequence[int]:
        self._taken += [1, 2]
        return [1, 2]

    def allow(self, logits: Float32) -> Float32:
        allowed = np.arange(VOCAB) != self._taken[-1]
        return np.where(allowed, logits, np.float32(-np.inf))

    def accept(self, token: int) -> Sequence[int]:
        self._taken.append(token)
        # What is forced is often what a guess says, too.
        forced = [(token + k) % 6 for k in range(1, 4)] if token % 3 == 0 and token != END and not self.finished else []
        self._taken += forced
        return forced

    def value(self, text: str) -> str:
        return text


@dataclass
class Naive:
    """What must come out."""

    tokens: list[int] = field(default_factory=list)
    reason: str = "length"
    prompts: list[list[int]] = field(default_factory=list)
    """As it was, and as it became whenever room was made."""


def naive(
    prompt: list[int], options: Options, context: int, constraint: Constraint | None, rolling: Rolling | None
) -> Naive:
    decoder, sampler = EchoDecoder(sometimes, VOCAB, context), Sampler(options.sampling)
    found, forced = Naive(prompts=[prompt]), list(constraint.start()) if constraint else []
    while len(found.tokens) != options.max_tokens:
        if len(found.prompts[-1]) + len(found.tokens) > context:
            shorter = rolling.roll(len(found.tokens)) if rolling else None
            if shorter is None or len(shorter) + len(found.tokens) > context:
                return found
            found.prompts.append(list(shorter))
        history = [*found.prompts[-1], *found.tokens]
        if forced:
            token = forced.pop(0)
        else:
            logits = decoder._logits(history)
            token, _ = sampler.choose(logits, history, constraint.allow(logits) if constraint else None)
            forced = list(constraint.accept(token)) if constraint else []
        if token == END:
            found.reason = "stop"
            return found
        found.tokens.append(token)
        if constraint and not forced and constraint.finished:
            found.reason = "stop"
            return found
    return found


def encode(messages: Sequence[Message]) -> list[int]:
    return [int(digit) for message in messages for digit in message["content"]]


turns = st.lists(st.text("012345", min_size=1, max_size=12), min_size=1, max_size=6)


def drafters(kind: str) -> Drafter | None:
    if kind == "model":
        return ModelDrafter(DecoderSession(EchoDecoder(cycling, VOCAB, 23)), 0.1)
    return PromptLookup() if kind == "lookup" else None


@settings(deadline=None, max_examples=80)
@given(
    said=turns,
    context=st.integers(20, 60),
    border=st.none() | st.integers(5, 60),
    limit=st.none() | st.integers(1, 50),
    temperature=st.sampled_from([0.0, 0.8, 3.0]),
    drafter=st.sampled_from(["lookup", "model", "none"]),
    constrained=st.booleans(),
    rolls=st.booleans(),
    closed_after=st.none() | st.integers(0, 30),
    before=st.text("012345", max_size=10),
)
def test_the_loop_says_what_a_naive_one_says(
    said: list[str],
    context: int,
    border: int | None,
    limit: int | None,
    temperature: float,
    drafter: str,
    constrained: bool,
    rolls: bool,
    closed_after: int | None,
    before: str,
) -> None:
    messages: list[Message] = [{"role": "system", "content": "33"}]
    messages += [{"role": "user", "content": text} for text in said]
    options = Options(sampling=Sampling(temperature=temperature, seed=3), max_tokens=limit, eos_ids={END})

    def rolling() -> Rolling | None:
        return Rolling(messages, encode, context) if rolls else None

    prompt = encode(messages)[-context:]
    expected = naive(prompt, options, context, Even() if constrained else None, rolling())
    decoder = EchoDecoder(sometimes, VOCAB, context)
    session = DecoderSession(decoder, border=border, pass_costs=CHEAP)
    if before:
        session.forward(encode([{"role": "user", "content": before}]))

    def begin() -> Generation:
        constraint = Even() if constrained else None
        return generate(session, prompt, options, drafter=drafters(drafter), constraint=constraint, rolling=rolling())

    generation = begin()
    if closed_after is not None:
        for _, _step in zip(range(closed_after), generation, strict=False):
            pass
        generation.close()
        check_session(session, decoder, expected, generation.reply)
        assert generation.reply.tokens == tuple(expected.tokens[: len(generation.reply.tokens)])
        generation = begin()
    for _ in generation:
        pass
    reply = generation.reply
    assert (list(reply.tokens), reply.finish_reason) == (expected.tokens, expected.reason)
    check_session(session, decoder, expected, reply)
    timings = reply.timings
    assert 0 <= timings.reused_tokens <= timings.prompt_tokens
    assert timings.accepted_tokens <= timings.guessed_tokens
    assert timings.prefill_tokens_per_second >= 0
    assert timings.decode_tokens_per_second >= 0


def check_session(session: DecoderSession, decoder: EchoDecoder, expected: Naive, reply: Reply) -> None:
    """The session holds a beginning of the prompt and the answer, and the engine what the session says."""
    held = list(session.tokens)
    if reply.tokens and reply.timings.forced_tokens < len(reply.tokens):
        answers = [[*start, *reply.tokens] for start in expected.prompts]
        assert any(held == answer[: len(held)] for answer in answers)
    assert decoder._cache[: len(held)] == held


def test_an_answer_that_is_asked_for_again_reuses_no_more_than_its_prompt() -> None:
    session = DecoderSession(EchoDecoder(sometimes, VOCAB, 64), pass_costs=CHEAP)
    for _ in range(2):
        generation = generate(session, [1, 2, 3], Options(max_tokens=9), constraint=Even())
        for _ in generation:
            pass
    assert generation.reply.timings.reused_tokens == 3
    assert generation.reply.timings.prefill_tokens_per_second == 0


def test_closing_an_answer_of_a_closed_session() -> None:
    session = DecoderSession(EchoDecoder(cycling, VOCAB, 64), pass_costs=CHEAP)
    generation = generate(session, [0, 1, 2, 3, 4, 5] * 3, drafter=PromptLookup())
    for _ in range(3):
        next(generation)
    assert generation.reply.timings.guessed_tokens > 0
    session.close()
    generation.close()
    with pytest.raises(StopIteration):
        next(generation)


class Told:
    """Progress that notes what it is told, and may do something meanwhile."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.advanced: list[int] = []
        self.finished = 0
        self.act: Callable[[], None] = lambda: None

    def start(self, what: str, total: int, unit: str) -> None:
        self.started.append((what, total))

    def advance(self, amount: int) -> None:
        self.advanced.append(amount)
        self.act()

    def finish(self) -> None:
        self.finished += 1


def test_a_conversation_that_is_read_anew_tells_how_far_and_can_be_cancelled() -> None:
    messages: list[Message] = [{"role": "user", "content": str(k) * 6} for k in range(5)]
    for cancelled in (False, True):
        told = Told()
        session = DecoderSession(EchoDecoder(cycling, VOCAB, 40))
        rolling = Rolling(messages, encode, 40)
        generation = generate(session, rolling.ids, Options(), progress=told, rolling=rolling)
        for _ in range(11):
            next(generation)
        assert told.started == [("Reading the prompt", 30)]
        told.act = generation.close if cancelled else told.act
        rest = len([*generation])
        # The session holds nothing of the conversation that begins at a later turn.
        assert len(rolling.ids) < 30
        assert told.started[1:] == [("Reading the prompt", len(rolling.ids) + 11)]
        assert told.advanced == [30, len(rolling.ids) + 11]
        assert told.finished == 2
        assert (rest, generation.reply.finish_reason) == ((0, "cancelled") if cancelled else (rest, "length"))

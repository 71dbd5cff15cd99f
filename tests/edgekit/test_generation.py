from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from echo_decoder import EchoDecoder, counting, session
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import ContextError, UsageError
from edgekit.generation import Generation, Options, Reply, generate
from edgekit.sampling import Sampling, log_probability
from edgekit.session import DecoderSession


def collected(generation: Generation) -> Reply:
    for _ in generation:
        pass
    return generation.reply


def answer(prompt: list[int], where: DecoderSession | None = None, **options: Any) -> Reply:
    return collected(generate(where or session(counting), prompt, Options(**options)))


def test_an_end_of_sequence_token_ends_it_and_is_no_part_of_it() -> None:
    reply = answer([1, 2], eos_ids=(9, 6))
    assert reply.tokens == (3, 4, 5)
    assert reply.finish_reason == "stop"
    assert len(reply.logprobs) == 3
    assert all(value <= 0 for value in reply.logprobs)
    assert str(reply) == reply.text == ""


def test_it_may_end_at_once() -> None:
    reply = answer([1, 2], eos_ids=(3,))
    assert (reply.tokens, reply.finish_reason, reply.timings.decode_tokens) == ((), "stop", 0)


def test_max_tokens() -> None:
    reply = answer([1, 2], max_tokens=4, eos_ids=(9,))
    assert reply.tokens == (3, 4, 5, 6)
    assert reply.finish_reason == "length"


def test_the_context_fills_up() -> None:
    where = session(counting, context=8)
    reply = answer([1, 2, 3], where)
    # The last token is said, and needs no room any more.
    assert reply.tokens == (4, 5, 6, 7, 8, 9)
    assert reply.finish_reason == "length"
    assert where.length == 8
    assert answer(list(range(8)), where).tokens == (8,)


def test_a_prompt_that_does_not_fit_is_refused_before_any_work() -> None:
    decoder = EchoDecoder(context=8)
    with pytest.raises(ContextError, match="the prompt has 9 tokens and the context holds 8"):
        generate(DecoderSession(decoder), list(range(9)))
    assert decoder.computed == []


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ([], "empty"),
        ([1, 50], "token id 50 is not within the vocabulary 0..49"),
        ([-1], "token id -1"),
        ([1.5], "float64"),
        ([[1, 2]], "1×2"),
        (["a"], "must be whole numbers"),
        ([1 << 70], "must be whole numbers"),
        ([[1], [1, 2]], "no plain list"),
        ([True], "bool"),
    ],
)
def test_prompts_that_are_none(prompt: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        generate(session(), prompt)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9"])
def test_max_tokens_out_of_range(value: Any) -> None:
    with pytest.raises(UsageError, match="max_tokens is"):
        Options(max_tokens=value)


@pytest.mark.parametrize("value", ["", 3])
def test_stop_strings_out_of_range(value: Any) -> None:
    with pytest.raises(UsageError, match="no stop string"):
        Options(stop=(value,))
    with pytest.raises(UsageError, match="need a tokenizer"):
        generate(session(), [1], Options(stop=("a",)))


def test_numpy_prompts() -> None:
    assert collected(generate(session(counting), np.array([1, 2], np.uint8), Options(max_tokens=2))).tokens == (3, 4)


def test_the_common_prefix_is_computed_once() -> None:
    decoder = EchoDecoder(counting)
    where = DecoderSession(decoder)
    first = answer([1, 2, 3], where, max_tokens=3)
    assert decoder.computed == [3, 1, 1]
    assert first.timings.reused_tokens == 0
    second = answer([1, 2, 3, *first.tokens, 20], where, max_tokens=1)
    assert decoder.computed[3:] == [2]  # the last token of the answer was never computed
    assert second.timings.reused_tokens == 5
    same = answer([1, 2, 3, *first.tokens, 20], where, max_tokens=1)
    assert decoder.computed[4:] == [1]  # the last token of the prompt always is
    assert same.tokens == second.tokens == (21,)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_reuse_does_not_change_the_answer(data: st.DataObject) -> None:
    where = session()
    options = Options(sampling=Sampling(temperature=1.0, seed=3), max_tokens=6)
    prompt: list[int] = []
    for _ in range(4):
        keep = data.draw(st.integers(0, len(prompt)))
        prompt = prompt[:keep] + data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
        reply = collected(generate(where, prompt, options))
        assert reply.tokens == collected(generate(session(), prompt, options)).tokens
        prompt += reply.tokens


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_the_same_seed_continued_gives_the_same_tokens(cut: int) -> None:
    sampling = Sampling(temperature=1.0, top_k=20, repetition_penalty=1.2, seed=11)
    whole = answer([1, 2], session(), sampling=sampling, max_tokens=12)
    start = answer([1, 2], session(), sampling=sampling, max_tokens=cut)
    rest = answer([1, 2, *start.tokens], session(), sampling=sampling, max_tokens=12 - cut)
    assert start.tokens + rest.tokens == whole.tokens
    assert start.logprobs + rest.logprobs == whole.logprobs
    other = Sampling(temperature=1.0, top_k=20, repetition_penalty=1.2, seed=12)
    assert answer([1, 2], session(), sampling=other, max_tokens=12).tokens != whole.tokens


def test_the_penalty_counts_prompt_and_answer() -> None:
    reply = answer([5, 5], session(lambda tokens: 5), sampling=Sampling(repetition_penalty=100.0), max_tokens=10)
    assert 5 not in reply.tokens
    assert len(set(reply.tokens)) == 10


def test_log_probabilities_are_the_models() -> None:
    reply = answer([1, 2], session(), max_tokens=3)
    logits = session().forward([1, 2, *reply.tokens[:2]], last=3)
    assert reply.logprobs == pytest.approx(
        [log_probability(row, token) for row, token in zip(logits, reply.tokens, strict=True)]
    )


def test_closing_leaves_the_session_usable() -> None:
    where = session(counting)
    generation = generate(where, [1, 2])
    assert next(generation).token == 3
    generation.close()
    generation.close()
    assert list(generation) == []
    assert generation.reply.finish_reason == "cancelled"
    assert generation.reply.tokens == (3,)
    assert answer([1, 2], where, max_tokens=2).tokens == (3, 4)


def test_closing_before_the_first_step() -> None:
    decoder = EchoDecoder()
    generation = generate(DecoderSession(decoder), [1])
    generation.close()
    assert list(generation) == []
    assert generation.reply.finish_reason == "cancelled"
    assert decoder.computed == []


def test_ctrl_c_within_a_step_leaves_the_session_usable() -> None:
    def interrupted(tokens: Any) -> int:
        if len(tokens) == 4:
            raise KeyboardInterrupt
        return counting(tokens)

    decoder = EchoDecoder(interrupted)
    where = DecoderSession(decoder)
    generation = generate(where, [1, 2])
    assert next(generation).token == 3
    assert next(generation).token == 4
    with pytest.raises(KeyboardInterrupt):
        next(generation)
    assert generation.reply.finish_reason == "cancelled"
    assert generation.reply.tokens == (3, 4)
    assert where.tokens == (1, 2, 3)
    assert answer([1, 2], where, max_tokens=2).tokens == (3, 4)


def test_closing_from_another_thread_ends_it_between_two_steps() -> None:
    started, closed = threading.Event(), threading.Event()

    def slow(tokens: Any) -> int:
        if len(tokens) == 3:
            started.set()
            assert closed.wait(10)
        return counting(tokens)

    generation = generate(session(slow), [1, 2])

    def close() -> None:
        assert started.wait(10)
        assert generation.running
        generation.close()
        closed.set()

    other = threading.Thread(target=close)
    other.start()
    tokens = [step.token for step in generation]
    other.join()
    assert tokens == [3, 4]
    assert generation.reply.finish_reason == "cancelled"


class Watcher:
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        self.events.append(("start", total, unit))

    def advance(self, amount: int) -> None:
        self.events.append(("advance", amount))

    def finish(self) -> None:
        self.events.append(("finish",))


def test_a_long_prompt_tells_its_progress() -> None:
    watcher = Watcher()
    where = session(context=2000)
    where.forward([1, 2, 3])
    collected(generate(where, [1, 2] + [4] * 1098, Options(max_tokens=2), progress=watcher))
    advances = [event[1] for event in watcher.events[1:-1]]
    assert watcher.events[0] == ("start", 1098, "tokens")
    assert watcher.events[-1] == ("finish",)
    assert len(advances) > 1
    assert sum(advances) == 1098


def test_closing_stops_a_long_prompt_between_its_chunks() -> None:
    decoder = EchoDecoder(context=2000)
    where = DecoderSession(decoder)

    class Closer(Watcher):
        def advance(self, amount: int) -> None:
            generation.close()

    generation = generate(where, [4] * 1900, progress=Closer())
    assert list(generation) == []
    assert generation.reply.finish_reason == "cancelled"
    assert len(decoder.computed) == 1
    assert where.length == decoder.computed[0]


def test_timings_leave_the_consumers_time_out() -> None:
    generation = generate(session(counting), [1, 2], Options(max_tokens=5))
    for _ in generation:
        time.sleep(0.05)
    timings = generation.reply.timings
    assert timings.prompt_tokens == 2
    assert timings.decode_tokens == 4
    assert 0 < timings.decode_seconds < 0.15
    assert timings.prefill_tokens_per_second == pytest.approx(2 / timings.prefill_seconds)
    assert timings.decode_tokens_per_second == pytest.approx(4 / timings.decode_seconds)


def test_the_loop_costs_little() -> None:
    class Instant(EchoDecoder):
        rows = np.random.default_rng(0).standard_normal((1, 49152)).astype(np.float32)

        def step(self, tokens: Any, start: int, last: int, reach: int) -> Any:
            return self.rows

    where = DecoderSession(Instant(vocab_size=49152, context=2000))
    best = min(answer([1], where, max_tokens=100).timings.decode_seconds / 99 for _ in range(10))
    assert best < 1e-3  # 0.1 ms on a quiet machine

"""What a session promises (DESIGN, section 5), over every runtime: the cache is never seen in the results.

Truth is the reference, which has no cache and computes every sequence whole. Where the very same calls are made, the
results are the same to the last bit.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened import Opened

from edgekit import session as session_module
from edgekit.decoder import LoadOptions
from edgekit.errors import ContextError, EdgekitError, SessionBusyError, UsageError
from edgekit.progress import Silent
from edgekit.registry import runtime, runtime_names
from edgekit.session import DecoderSession


@pytest.mark.parametrize("name", runtime_names())
def test_every_engine_is_here(name: str) -> None:
    """An engine that is missing is a failure that says so: a suite that leaves it out in silence proves nothing."""
    availability = runtime(name).available()
    assert availability.ok, f"{availability.reason}; {availability.hint}"


@pytest.mark.parametrize(("kept", "forgotten"), [(8, 1), (8, 12), (1, 20), (20, 5)])
def test_a_rewind_is_as_if_the_rest_was_never_seen(
    opened: Opened, session: DecoderSession, kept: int, forgotten: int
) -> None:
    ids = opened.ids
    session.forward(ids[:kept])
    session.forward(opened.others(forgotten), last=forgotten)
    session.rewind(kept)
    assert session.tokens == tuple(ids[:kept])
    logits = session.forward(ids[kept : kept + 6], last=6)
    np.testing.assert_array_equal(logits, opened.from_nothing(ids[:kept], ids[kept : kept + 6], last=6))
    opened.check(ids[: kept + 6], logits)


@pytest.mark.parametrize("kept", [0, 1, 15, 16, 17, 31, 32, 33, 47, 63, 69])
def test_a_rewind_into_the_middle_of_an_input(opened: Opened, session: DecoderSession, kept: int) -> None:
    session.forward(opened.ids)
    session.rewind(kept)
    tokens = np.concatenate([opened.ids[:kept], opened.others(3)])
    opened.check(tokens, session.forward(tokens[kept:], last=3))


@pytest.mark.parametrize("pieces", [(70,), (1,) * 70, (33, 37), (16, 1, 16, 1, 30, 6), (2, 64, 3, 1)])
def test_an_input_in_pieces_is_the_input_at_once(
    opened: Opened, session: DecoderSession, pieces: tuple[int, ...]
) -> None:
    done = 0
    for piece in pieces:
        logits = session.forward(opened.ids[done : done + piece], last=piece)
        done += piece
        opened.check(opened.ids[:done], logits)
    assert session.tokens == tuple(opened.ids)


@pytest.mark.parametrize("last", [1, 2, 16, 17, 69, 70])
def test_the_last_rows_are_those_of_all(opened: Opened, session: DecoderSession, last: int) -> None:
    logits = session.forward(opened.ids, last=last)
    assert logits.dtype == np.float32
    opened.check(opened.ids, logits)


def test_a_chunk_that_others_follow_gives_no_logits(opened: Opened) -> None:
    options = LoadOptions(context=opened.session.context, threads=1)
    decoder = runtime(opened.runtime).open_decoder(opened.bundle, options)
    for start, stop in ((0, 20), (20, 21), (21, 69)):
        logits = decoder.step(opened.ids[start:stop], start, 0, 70)
        assert (logits.dtype, logits.shape) == (np.float32, (0, decoder.vocab_size))
    opened.check(opened.ids, decoder.step(opened.ids[69:], 69, 1, 70))
    decoder.close()


def test_what_is_returned_is_the_callers_own(opened: Opened, session: DecoderSession) -> None:
    first = session.forward(opened.ids[:5], last=2)
    kept = first.copy()
    session.forward(opened.others(5), last=2)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    session.rewind(5)
    opened.check(opened.ids[:6], session.forward(opened.ids[5:6]))


@pytest.mark.parametrize("common", [0, 1, 20, 40])
def test_align_keeps_the_common_prefix(opened: Opened, session: DecoderSession, common: int) -> None:
    wanted = np.concatenate([opened.ids[:common], opened.others(60)[common:]])
    session.forward(opened.ids[:40])
    assert session.align(wanted) == common
    assert session.tokens == tuple(opened.ids[:common])
    opened.check(wanted, session.forward(wanted[common:], last=5))
    assert session.align(wanted[:30].tolist()) == 30
    assert session.length == 30


@pytest.mark.parametrize("at", [32, 31, 30])
def test_over_the_border_and_back(opened: Opened, session: DecoderSession, at: int) -> None:
    """The case with LongRoPE has its border at 32; for the others this is one more rewind."""
    ids = opened.ids
    assert opened.bundle.manifest.spec.border in (None, 32)
    opened.check(ids[:at], session.forward(ids[:at]))
    for length in range(at + 1, 36):
        opened.check(ids[:length], session.forward(ids[length - 1 : length]))
    session.rewind(at - 1)
    opened.check(ids[:at], session.forward(ids[at - 1 : at]))
    opened.check(ids[:40], session.forward(ids[at:40], last=40 - at))


def test_a_full_context(opened: Opened, session: DecoderSession) -> None:
    tokens = np.concatenate([opened.ids, opened.others(session.context - 70)])
    opened.check(tokens[:-1], session.forward(tokens[:-1]))
    opened.check(tokens, session.forward(tokens[-1:]))
    with pytest.raises(ContextError, match=f"{session.context} tokens in the session and 1 more do not fit its"):
        session.forward([1])
    session.rewind(session.context - 1)
    opened.check(tokens, session.forward(tokens[-1:]))


def test_what_is_refused_changes_nothing(opened: Opened, session: DecoderSession) -> None:
    session.forward(opened.ids[:9])
    refused: list[tuple[Any, int, type[EdgekitError]]] = [
        (range(session.context - 8), 1, ContextError),
        ([], 1, UsageError),
        ([1, -1], 1, UsageError),
        ([session.vocab_size], 1, UsageError),
        ([1.5], 1, UsageError),
        ([1, 2], 0, UsageError),
        ([1, 2], 3, UsageError),
    ]
    for tokens, last, error in refused:
        with pytest.raises(error):
            session.forward(tokens, last=last)
    for length in (-1, 10):
        with pytest.raises(UsageError):
            session.rewind(length)
    assert session.tokens == tuple(opened.ids[:9])
    opened.check(opened.ids[:12], session.forward(opened.ids[9:12], last=3))


class Interrupting(Silent):
    """Ctrl-C after the first chunk."""

    def advance(self, amount: int) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("before", [0, 10, 25])
def test_ctrl_c_between_two_chunks(
    opened: Opened, session: DecoderSession, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "CHUNK", 16)
    ids = opened.ids
    if before:
        session.forward(ids[:before])
    with pytest.raises(KeyboardInterrupt):
        session.forward(ids[before:], progress=Interrupting())
    done = session.length
    assert session.tokens == tuple(ids[:done])
    assert done < 70
    opened.check(ids, session.forward(ids[done:], last=5))


def test_a_second_thread_is_told_that_the_session_is_busy(opened: Opened, session: DecoderSession) -> None:
    at_work, told = threading.Event(), threading.Event()

    class Waiting(Silent):
        def advance(self, amount: int) -> None:
            at_work.set()
            assert told.wait(20)

    worker = threading.Thread(target=session.forward, args=(opened.ids,), kwargs={"progress": Waiting()})
    worker.start()
    try:
        assert at_work.wait(20)
        for call in (lambda: session.forward([1]), lambda: session.rewind(0), session.close):
            with pytest.raises(SessionBusyError, match="at work for another caller"):
                call()
    finally:
        told.set()
        worker.join()
    assert session.tokens == tuple(opened.ids)
    opened.check([*opened.ids, 1], session.forward([1]))


# Pieces to compute, lengths to go back to (counted in 1/100), and texts to align with: whatever comes, in any order.
STEPS = st.lists(
    st.tuples(st.just("forward"), st.integers(1, 30))
    | st.tuples(st.just("rewind"), st.integers(0, 100))
    | st.tuples(st.just("align"), st.integers(0, 100)),
    min_size=2,
    max_size=8,
)


quick = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quick
@given(steps=STEPS)
def test_any_walk_ends_where_its_tokens_say(
    opened: Opened, session: DecoderSession, steps: list[tuple[str, int]]
) -> None:
    walk(opened, session, steps)


@pytest.mark.slow
@settings(quick, max_examples=60)
@given(steps=STEPS)
def test_many_walks_end_where_their_tokens_say(
    opened: Opened, session: DecoderSession, steps: list[tuple[str, int]]
) -> None:
    walk(opened, session, steps)


def walk(opened: Opened, session: DecoderSession, steps: list[tuple[str, int]]) -> None:
    session.rewind(0)
    tokens: list[int] = []
    source = iter(np.resize(opened.ids[::-1], 300).tolist())
    for kind, amount in steps:
        if kind == "forward":
            new = [next(source) for _ in range(min(amount, session.context - len(tokens)))]
            if new:
                tokens += new
                opened.check(tokens, session.forward(new, last=min(3, len(new))))
        else:
            length = len(tokens) * amount // 100
            if kind == "rewind":
                session.rewind(length)
            else:
                different = [(token + 1) % session.vocab_size for token in tokens[length:]]
                assert session.align(tokens[:length] + different) == length
            del tokens[length:]
        assert session.tokens == tuple(tokens)

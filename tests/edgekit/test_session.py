"""What needs no engine; what every runtime must do is in tests/contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from echo_decoder import EchoDecoder

from edgekit import session as session_module
from edgekit.decoder import Float32, Tokens
from edgekit.errors import ContextError, EdgekitError, RuntimeUnavailableError, UsageError
from edgekit.kvfile import StateError, write_state
from edgekit.progress import Silent
from edgekit.session import CHUNK, DecoderSession


class Watched(EchoDecoder):
    """Writes down what it is asked."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(None, **sizes)
        self.calls: list[tuple[int, int, int, int]] = []
        self.closed = 0

    def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
        self.calls.append((len(tokens), start, last, reach))
        return super().step(tokens, start, last, reach)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def decoder() -> Watched:
    return Watched(context=2 * CHUNK)


def test_long_inputs_are_computed_in_chunks_that_know_how_far_they_go(decoder: Watched) -> None:
    session = DecoderSession(decoder)
    session.forward([1] * 4)
    logits = session.forward([2] * (CHUNK + 10), last=12)
    assert logits.shape == (12, decoder.vocab_size)
    assert decoder.calls == [(4, 0, 1, 4), (CHUNK, 4, 2, CHUNK + 14), (10, CHUNK + 4, 10, CHUNK + 14)]


def test_rows_of_several_chunks_are_put_together(decoder: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = list(range(40))
    whole = DecoderSession(decoder).forward(tokens, last=40)
    monkeypatch.setattr(session_module, "CHUNK", 7)
    for last in (1, 5, 6, 7, 20, 40):
        np.testing.assert_array_equal(DecoderSession(EchoDecoder()).forward(tokens, last=last), whole[-last:])


def test_progress_is_told_of_every_chunk(decoder: Watched) -> None:
    told: list[int] = []

    class Counting(Silent):
        def advance(self, amount: int) -> None:
            told.append(amount)

    DecoderSession(decoder).forward([1] * (CHUNK + 3), progress=Counting())
    assert told == [CHUNK, 3]


def test_crossing_the_border_computes_everything_again_and_only_then(decoder: Watched) -> None:
    session = DecoderSession(decoder, border=10)
    session.forward([1] * 8)
    session.forward([2] * 2)
    session.forward([3], last=1)
    session.forward([4, 5], last=2)
    session.rewind(9)
    session.forward([6])
    session.rewind(3)
    session.forward([7])
    assert decoder.calls == [
        (8, 0, 1, 8), (2, 8, 1, 10), (11, 0, 1, 11), (2, 11, 2, 13), (10, 0, 1, 10), (1, 3, 1, 4),
    ]  # fmt: skip


def test_from_nothing_no_border_is_crossed(decoder: Watched) -> None:
    session = DecoderSession(decoder, border=10)
    session.forward([1] * 20)
    session.rewind(0)
    session.forward([1] * 5)
    session.rewind(0)
    session.forward([1] * 11)
    assert [call[0] for call in decoder.calls] == [20, 5, 11]


def test_saving_after_a_rewind_over_the_border_computes_again(decoder: Watched, tmp_path: Path) -> None:
    session = DecoderSession(decoder, border=10)
    session.forward([1] * 12)
    session.rewind(10)
    session.save(tmp_path / "state")
    session.save(tmp_path / "state")
    assert decoder.calls == [(12, 0, 1, 12), (10, 0, 1, 10)]
    restored = DecoderSession(Watched(), border=10)
    restored.restore(tmp_path / "state")
    restored.forward([2])
    assert restored.tokens == (*[1] * 10, 2)


def test_any_whole_numbers_are_tokens() -> None:
    expected = DecoderSession(EchoDecoder()).forward([3, 4, 5])
    for tokens in ((3, 4, 5), range(3, 6), np.array([3, 4, 5], np.int32), np.array([3, 4, 5], np.uint8)):
        np.testing.assert_array_equal(DecoderSession(EchoDecoder()).forward(tokens), expected)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "no tokens"),
        ([1.0], "whole numbers, not float64"),
        (["1"], "whole numbers, not <U1"),
        ([True], "whole numbers, not bool"),
        ([1 << 70], "whole numbers, not object"),
        ([3, -1], "token id -1 is not within the vocabulary 0..49"),
        ([50, 3], "token id 50 is not within"),
    ],
)
def test_what_is_no_token_is_refused_by_its_value(tokens: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DecoderSession(EchoDecoder()).forward(tokens)


def test_what_does_not_fit_is_refused_with_the_numbers_before_any_work() -> None:
    decoder = Watched(context=10)
    session = DecoderSession(decoder)
    session.forward([1] * 7)
    with pytest.raises(ContextError, match="7 tokens in the session and 4 more do not fit its 10") as caught:
        session.forward([1] * 4)
    assert caught.value.hint
    assert len(decoder.calls) == 1
    session.forward([1] * 3)
    assert session.length == session.context == 10


def test_a_step_that_fails_leaves_what_was_computed() -> None:
    class Failing(Watched):
        def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
            if start == CHUNK and not self.closed:
                raise KeyboardInterrupt
            return super().step(tokens, start, last, reach)

    decoder = Failing(context=2 * CHUNK)
    session = DecoderSession(decoder)
    with pytest.raises(KeyboardInterrupt):
        session.forward([1] * (CHUNK + 5))
    assert session.length == CHUNK
    decoder.closed = 1
    expected = DecoderSession(EchoDecoder(context=2 * CHUNK)).forward([1] * (CHUNK + 5))
    np.testing.assert_array_equal(session.forward([1] * 5), expected)


def test_an_interrupted_crossing_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was computed for a longer sequence is not taken for a shorter one."""

    class Once(Silent):
        def advance(self, amount: int) -> None:
            raise KeyboardInterrupt

    decoder = Watched()
    session = DecoderSession(decoder, border=10)
    session.forward([1] * 9)
    monkeypatch.setattr(session_module, "CHUNK", 4)
    with pytest.raises(KeyboardInterrupt):
        session.forward([1] * 9, progress=Once())
    assert session.length == 4
    decoder.calls.clear()
    session.forward([1])
    assert decoder.calls == [(4, 0, 0, 5), (1, 4, 1, 5)]


def test_a_restore_that_fails_half_way_leaves_it_empty(tmp_path: Path) -> None:
    class Choosy(EchoDecoder):
        def write_cache(self, state: Mapping[str, Any], length: int) -> None:
            raise EdgekitError("another shape")

    path = tmp_path / "state"
    first = DecoderSession(EchoDecoder())
    first.forward([1, 2])
    first.save(path)
    session = DecoderSession(Choosy())
    session.forward([3, 4, 5])
    with pytest.raises(EdgekitError, match="another shape"):
        session.restore(path)
    assert session.tokens == ()


def test_tokens_outside_of_the_vocabulary_are_not_taken_back(tmp_path: Path) -> None:
    write_state(tmp_path / "state", "", [1, 50], {"tokens": np.array([1, 50], np.float32)})
    session = DecoderSession(EchoDecoder())
    session.forward([3])
    with pytest.raises(EdgekitError, match="outside of the vocabulary"):
        session.restore(tmp_path / "state")
    assert session.tokens == (3,)


def test_a_session_of_another_identity_is_not_taken_back(tmp_path: Path) -> None:
    DecoderSession(EchoDecoder(), identity="onnx auto abc").save(tmp_path / "state")
    with pytest.raises(StateError, match="another model, format, runtime or cache precision"):
        DecoderSession(EchoDecoder(), identity="onnx auto abd").restore(tmp_path / "state")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match=r"cannot write .*state"):
        DecoderSession(EchoDecoder()).save(tmp_path / "nowhere" / "state")


def test_closing_twice_closes_once(decoder: Watched, tmp_path: Path) -> None:
    with DecoderSession(decoder) as session:
        session.forward([1])
    session.close()
    assert decoder.closed == 1
    for call in (lambda: session.forward([1]), lambda: session.align([1]), lambda: session.restore(tmp_path / "x")):
        with pytest.raises(EdgekitError, match="the session is closed"):
            call()


def test_an_unknown_runtime_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from manifests import write_bundle

    import edgekit
    from edgekit.registry import runtime

    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    bundle = write_bundle(tmp_path / "tiny.edge")
    with pytest.raises(UsageError, match="unknown runtime 'steam'"):
        edgekit.load(bundle, runtime="steam")
    other = next(name for name in ("openvino", "tflite") if runtime(name).format != "onnx")
    with pytest.raises(RuntimeUnavailableError, match=f"the bundle has no {other} format"):
        edgekit.load(bundle, runtime=other)

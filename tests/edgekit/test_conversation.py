"""Long chats, and chats that are saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub_runtime import StubRuntime

from edgekit.chat import Message
from edgekit.errors import ContextError, EdgekitError, UsageError
from edgekit.kvfile import read_header
from edgekit.loading import load
from edgekit.model import Model
from edgekit.rolling import ROOM, Rolling
from edgekit.tokenizer import Tokenizer

SYSTEM = "Be brief"


def texts(count: int) -> list[str]:
    return [f"{chr(97 + k % 26) * (4 + k % 9)}" for k in range(count)]


def test_a_long_chat_goes_on_with_its_system_message(model: Model) -> None:
    chat, rolled = model.chat(SYSTEM, max_tokens=6), 0
    for text in texts(60):
        before = len(chat.messages)
        reply = chat.send(text)
        assert reply.text == "abcdef"
        assert chat.messages[0] == {"role": "system", "content": SYSTEM}
        assert [m["role"] for m in chat.messages[1:]] == ["user", "assistant"] * (len(chat.messages) // 2)
        assert chat.messages[-2]["content"] == text
        assert model.session.length <= model.session.context == 200
        if reply.dropped_messages:
            rolled += 1
            assert len(chat.messages) == before + 2 - reply.dropped_messages
            # What stays after a roll is half the context at most, and the answer's room.
            assert reply.timings.prompt_tokens - reply.timings.reused_tokens <= 100
        else:
            assert reply.timings.prompt_tokens - reply.timings.reused_tokens <= 40
    assert 2 < rolled < 20


def test_a_rolled_chat_is_a_fresh_chat_with_that_history(write: Callable[..., Path]) -> None:
    with load(write()) as model, load(write()) as fresh:
        chat = model.chat(SYSTEM, max_tokens=9)
        for text in texts(40):
            reply = chat.send(text)
            again = fresh.generate(chat.messages[:-1], max_tokens=9)
            assert again.tokens == reply.tokens
            assert again.logprobs == pytest.approx(reply.logprobs, abs=1e-6)


def test_an_answer_that_fills_the_context_makes_room_for_its_rest(write: Callable[..., Path]) -> None:
    messages: list[Message] = []
    for text in ("one", "two", "three"):
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "m" * 12}]
    messages.append({"role": "user", "content": "abc"})
    path = write()
    text = "<s>" + "".join(f"{m['role'][0]}:{m['content']}|" for m in messages) + "a:"
    used = len(Tokenizer.open(path).encode(text, add_special_tokens=False))
    # Room for most of the alphabet is there, and not for its last letters.
    with load(path, context=used + 23) as model:
        reply = model.generate(messages, overflow="roll")
        assert (reply.text, reply.finish_reason) == ("abcdefghijklmnopqrstuvwxyz", "stop")
        assert reply.dropped_messages == 6
        assert model.tokenizer.decode(model.session.tokens, skip_special=False) == f"<s>u:abc|a:{reply.text}"
    with load(path) as fresh:
        again = fresh.generate(messages[6:])
        assert again.tokens == reply.tokens
        assert again.logprobs[-3:] == pytest.approx(reply.logprobs[-3:], abs=1e-6)


def test_overflow_stop_and_error(write: Callable[..., Path]) -> None:
    with load(write(), context=24) as model:
        messages = [{"role": "user", "content": "abcd"}]
        stopped = model.generate(messages)
        assert stopped.finish_reason == "length"
        assert 0 < len(stopped.tokens) < 26
        with pytest.raises(ContextError, match="fills the context of 24 tokens"):
            model.generate(messages, overflow="error")
        # An answer that max_tokens ends has not overflown.
        assert model.generate(messages, overflow="error", max_tokens=2).finish_reason == "length"
        # Nothing can be left out of a single turn.
        rolled = model.generate(messages, overflow="roll")
        assert rolled.tokens == stopped.tokens
        assert rolled.finish_reason == "length"


def test_a_turn_that_fits_no_context(write: Callable[..., Path]) -> None:
    with load(write(), context=32) as model:
        chat = model.chat(SYSTEM, max_tokens=2)
        chat.send("a")
        kept = list(chat.messages)
        with pytest.raises(ContextError, match="the last turn and what stands in front of the first"):
            chat.send("x" * 100)
        assert chat.messages == kept
        assert chat.send("b").text == "ab"


@pytest.mark.parametrize(
    ("prompt", "overflow", "complaint"),
    [("Hi", "rol", "overflow is 'rol'"), ([1, 2], "roll", "leaves out turns of a conversation")],
)
def test_what_overflow_cannot_be(model: Model, prompt: str | list[int], overflow: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        model.generate(prompt, overflow=overflow)  # type: ignore[arg-type]


def test_a_caller_who_keeps_all_messages_pays_for_a_roll_once(model: Model) -> None:
    messages: list[Message] = [{"role": "system", "content": SYSTEM}]
    computed = []
    for text in texts(60):
        messages.append({"role": "user", "content": text})
        reply = model.generate(messages, overflow="roll", max_tokens=6)
        messages.append({"role": "assistant", "content": reply.text})
        computed.append(reply.timings.prompt_tokens - reply.timings.reused_tokens)
    assert sum(count > 40 for count in computed) < 20
    assert max(computed) <= 100
    assert reply.dropped_messages > 60


def encode(messages: Sequence[Message]) -> list[int]:
    return [7] * sum(len(message["content"]) for message in messages)


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=30), opening=st.integers(0, 10), answered=st.integers(0, 9)
)
def test_rolling_leaves_out_as_little_as_frees_half(sizes: list[int], opening: int, answered: int) -> None:
    messages: list[Message] = [{"role": "system", "content": "s" * opening}] if opening else []
    for size in sizes:
        messages += [{"role": "user", "content": "u" * size}, {"role": "assistant", "content": "a"}]
    rolling = Rolling(messages, encode, 100)
    assert len(rolling.ids) == opening + sum(sizes) + len(sizes)
    rolled = rolling.roll(answered)
    if len(sizes) == 1:
        assert rolled is None
        return
    assert rolled is not None
    dropped = rolling.dropped // 2
    assert rolling.dropped % 2 == 0
    kept = opening + sum(sizes[dropped:]) + len(sizes[dropped:])
    assert len(rolled) == kept
    assert dropped == len(sizes) - 1 or kept + answered <= 50
    # One turn less would not have done, unless one had to go in any case.
    assert dropped == 1 or kept + answered + sizes[dropped - 1] + 1 > 50


def test_room_is_made_for_a_fourth_of_the_context() -> None:
    messages: list[Message] = [{"role": "user", "content": "u" * 40}, {"role": "user", "content": "u" * 40}]
    tight, roomy = Rolling(messages, encode, 100), Rolling(messages, encode, 120)
    tight.make_room(None)
    roomy.make_room(None)
    assert (tight.dropped, roomy.dropped) == (1, 0)
    asked = Rolling(messages, encode, 100)
    asked.make_room(100 // ROOM - 5)
    assert asked.dropped == 0


def test_a_saved_chat_goes_on_in_another_process(write: Callable[..., Path], tmp_path: Path) -> None:
    path, file = write(), tmp_path / "talk.kv"
    with load(path) as model:
        chat = model.chat(SYSTEM, max_tokens=5)
        with pytest.raises(UsageError, match="has no turns yet"):
            chat.save(file)
        chat.send("one")
        chat.save(file)
        expected = chat.send("two")
    with load(path) as model:
        resumed = model.resume(file, max_tokens=5)
        assert [m["content"] for m in resumed.messages] == [SYSTEM, "one", "abcde"]
        reply = resumed.send("two")
        assert reply.tokens == expected.tokens
        assert reply.timings.reused_tokens > 10
        resumed.reset()
        assert resumed.messages == [{"role": "system", "content": SYSTEM}]


def test_a_chat_saved_with_another_model_is_computed_anew(write: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "talk.kv"
    with load(write(), kv="f16") as model:
        chat = model.chat(SYSTEM, max_tokens=5)
        chat.send("one")
        chat.save(file)
    with load(write()) as model:
        assert model.resume(file, max_tokens=5).send("two").timings.reused_tokens == 0


def test_a_long_chat_is_resumed_in_a_smaller_context(write: Callable[..., Path], tmp_path: Path) -> None:
    path, file = write(), tmp_path / "talk.kv"
    with load(path) as model:
        chat = model.chat(SYSTEM, max_tokens=5)
        for text in texts(6):
            chat.send(text)
        chat.save(file)
        assert model.session.length > 60
    with load(path, context=60) as model:
        resumed = model.resume(file, max_tokens=5)
        assert resumed.messages == chat.messages
        assert resumed.send("more").dropped_messages > 0


def test_a_saved_chat_holds_nothing_of_other_prompts(model: Model, tmp_path: Path) -> None:
    chat = model.chat(SYSTEM, max_tokens=5)
    chat.send("one")
    model.generate("a secret of somebody else", raw=True, max_tokens=2)
    chat.save(tmp_path / "talk.kv")
    assert "secret" not in model.tokenizer.decode(read_header(tmp_path / "talk.kv").tokens)


def test_messages_in_front_of_the_first_turn_stay(model: Model) -> None:
    chat = model.chat(SYSTEM, max_tokens=6)
    chat.messages.append({"role": "assistant", "content": "Hello!"})
    dropped = 0
    for text in texts(30):
        dropped += chat.send(text).dropped_messages
        assert [m["content"] for m in chat.messages[:2]] == [SYSTEM, "Hello!"]
        assert [m["role"] for m in chat.messages[2:]] == ["user", "assistant"] * (len(chat.messages) // 2 - 1)
    assert dropped


def test_a_turn_without_an_answer_is_a_turn(model: Model, stub: StubRuntime) -> None:
    rule = stub.decoders[-1]._rule
    assert rule is not None
    stub.decoders[-1]._rule = lambda tokens: rule.end  # type: ignore[attr-defined]
    chat = model.chat()
    assert chat.send("Thank you").text == ""
    assert [m["content"] for m in chat.messages] == ["Thank you", ""]


def test_files_that_hold_no_chat(model: Model, tmp_path: Path) -> None:
    model.generate("Hi", max_tokens=2)
    model.session.save(tmp_path / "cache")
    with pytest.raises(EdgekitError, match="holds no conversation"):
        model.resume(tmp_path / "cache")
    model.session.save(tmp_path / "odd", {"messages": [{"role": 3}]})
    with pytest.raises(EdgekitError, match="a conversation that is none"):
        model.resume(tmp_path / "odd")
    (tmp_path / "noise").write_bytes(b"noise")
    with pytest.raises(EdgekitError, match="no saved session"):
        model.resume(tmp_path / "noise")

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from stub_runtime import StubRuntime

import edgekit
from edgekit.decoder import LoadOptions
from edgekit.errors import BundleError, ContextError, EdgekitError, SessionBusyError, UsageError
from edgekit.loading import load
from edgekit.model import Model
from edgekit.tokenizer import Tokenizer


def test_the_example_of_the_design(model: Model) -> None:
    assert "".join(model.stream("Turn the AC down")) == "abcdefghijklmnopqrstuvwxyz"
    messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
    reply = model.generate(messages, max_tokens=256, temperature=0.0, seed=1, stop=["\n\n"])
    assert reply.text == str(reply) == "abcdefghijklmnopqrstuvwxyz"
    assert (
        reply.tokens == tuple(model.tokenizer.encode(reply.text, add_special_tokens=False)) or len(reply.tokens) == 26
    )
    assert len(reply.logprobs) == 26
    assert reply.finish_reason == "stop"
    assert reply.timings.decode_tokens_per_second > 0
    assert model.runtime == "stub"


def prompt_text(model: Model) -> str:
    return model.tokenizer.decode(model.session.tokens, skip_special=False)


def test_a_text_is_one_user_message(model: Model) -> None:
    model.generate("Hi", max_tokens=1)
    assert prompt_text(model) == "<s>u:Hi|a:"
    model.generate("Hi", system="Be brief", max_tokens=1)
    assert prompt_text(model) == "<s>s:Be brief|u:Hi|a:"
    model.generate([{"role": "user", "content": "Ho"}], system="Be brief", max_tokens=1)
    assert prompt_text(model) == "<s>s:Be brief|u:Ho|a:"


def test_a_raw_text_is_sent_as_it_is(model: Model) -> None:
    assert model.generate("x", raw=True, max_tokens=5).text == "yz"
    assert prompt_text(model).startswith("xyz")


def test_a_text_is_raw_without_a_template(write: Callable[..., Path]) -> None:
    with load(write(template=None)) as model:
        assert model.generate("x").text == "yz"
        with pytest.raises(BundleError, match="has no chat template"):
            model.generate([{"role": "user", "content": "Hi"}])
        with pytest.raises(UsageError, match="has no chat template"):
            model.generate("Hi", system="Be brief")


def test_ids_go_with_a_tokenizer_too(model: Model) -> None:
    ids = model.tokenizer.encode("w", add_special_tokens=False)
    assert model.generate(ids).text == "xyz"


def test_a_bundle_without_a_tokenizer_is_driven_by_ids(write: Callable[..., Path]) -> None:
    ids = Tokenizer.open(write()).encode("v", add_special_tokens=False)
    with load(write(tokenizer=False, template=None)) as model:
        reply = model.generate(ids)
        assert (len(reply.tokens), reply.text, reply.finish_reason) == (4, "", "stop")
        assert list(model.stream(ids)) == ["", "", "", ""]
        with pytest.raises(BundleError, match="has no tokenizer") as caught:
            model.generate("Hi")
        assert "ids" in caught.value.hint
        with pytest.raises(BundleError, match="has no tokenizer"):
            model.tokenizer.encode("Hi")
        with pytest.raises(UsageError, match="need a tokenizer"):
            model.generate(ids, stop=["a"])


@pytest.mark.parametrize(
    ("prompt", "options", "complaint"),
    [
        ("", {}, "the prompt is empty"),
        ([], {}, "the prompt is empty"),
        ("Hi", {"raw": True, "system": "Be brief"}, "the prompt is raw"),
        ([1], {"system": "Be brief"}, "system, raw and tools go with a text"),
        ([1], {"raw": True}, "system, raw and tools go with a text"),
        ([{"role": "user", "content": "Hi"}], {"raw": True}, "a raw prompt is a text"),
        ([{"role": "system", "content": "Hi"}], {"system": "Be brief"}, "a system message already"),
        ([{"role": "user"}], {}, "no content"),
        ({"role": "user", "content": "Hi"}, {}, "a dict, not a list"),
        (["Hi"], {}, "message 0 is a str"),
        ("a\ud800", {}, "lone surrogate"),
        ("a\ud800", {"raw": True}, "lone surrogate"),
        ("Hi", {"temperature": -1}, "temperature is -1"),
        ("Hi", {"max_tokens": 0}, "max_tokens is 0"),
        ("Hi", {"stop": [""]}, "no stop string"),
        ("Hi", {"temprature": 1}, "unknown setting 'temprature'"),
        (7, {}, "whole numbers in a row|shape"),
    ],
)
def test_what_is_refused_leaves_the_model_usable(model: Model, prompt: Any, options: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        model.generate(prompt, **options)
    with pytest.raises(UsageError, match=complaint):
        model.stream(prompt, **options)
    assert model.generate("x", raw=True).text == "yz"


def test_a_prompt_longer_than_the_context_is_refused_before_any_work(model: Model, stub: StubRuntime) -> None:
    count = len(model.tokenizer.encode("<s>u:" + "1" * 900 + "|a:"))
    with pytest.raises(ContextError, match=f"the prompt has {count} tokens and the context holds 200"):
        model.stream("1" * 900)
    assert stub.decoders[0].computed == []


def test_stop_strings(model: Model) -> None:
    reply = model.generate("Hi", stop="def")
    assert (reply.text, reply.finish_reason, len(reply.tokens)) == ("abc", "stop", 6)
    assert model.generate("Hi", stop=["zz", "hi"]).text == "abcdefg"
    # What may begin a stop string is held back until the end shows that it does not.
    assert "".join(model.stream("Hi", stop=["yz!"])).endswith("xyz")


def test_streamed_collected_and_continued_texts_are_the_same(write: Callable[..., Path], stub: StubRuntime) -> None:
    settings: Any = {"temperature": 1.5, "seed": 4}
    with load(write(eos_ids=())) as model:
        stub.decoders[0]._rule = None
        ids = model.tokenizer.encode("Hello")
        stream = model.stream(ids, max_tokens=20, **settings)
        text = "".join(stream)
        assert stream.reply.text == text
        whole = model.generate(ids, max_tokens=20, **settings)
        assert (whole.text, whole.tokens) == (text, stream.reply.tokens)
        start = model.generate(ids, max_tokens=7, **settings)
        rest = model.generate([*ids, *start.tokens], max_tokens=13, **settings)
        assert start.tokens + rest.tokens == whole.tokens


@pytest.mark.parametrize(
    ("generation", "settings", "same"),
    [
        ({}, {}, True),
        ({"temperature": 5.0, "do_sample": False}, {}, True),
        ({"do_sample": True, "top_k": 5}, {}, True),
        ({"temperature": 5.0, "do_sample": True}, {}, False),
        ({"temperature": 5.0}, {}, False),
        ({"temperature": 5.0}, {"temperature": 0.0}, True),
        ({"temperature": 5.0, "top_k": 1}, {}, True),
    ],
)
def test_the_publishers_defaults(write: Callable[..., Path], generation: Any, settings: Any, same: bool) -> None:
    with load(write(generation=generation, template=None)) as model:
        texts = {model.generate("1", max_tokens=15, **settings).text for _ in range(3)}
        assert (texts == {"abcdefghijklmno"}) == same


def test_default_max_tokens(write: Callable[..., Path]) -> None:
    with load(write(generation={"max_tokens": 3})) as model:
        assert model.generate("Hi").text == "abc"
        assert model.generate("Hi", max_tokens=4).text == "abcd"
        assert len(model.generate("Hi", max_tokens=None).text) == 26


def test_one_stream_at_a_time(model: Model) -> None:
    stream = model.stream("Hi")
    assert next(stream) == "a"
    with pytest.raises(SessionBusyError):
        model.stream("Ho")
    with pytest.raises(UsageError, match="has not ended"):
        _ = stream.reply
    stream.close()
    assert stream.reply.finish_reason == "cancelled"
    assert stream.reply.text == "a"
    assert list(stream) == []
    assert model.generate("Hi", max_tokens=3).text == "abc"


def test_two_threads_on_one_model(model: Model) -> None:
    errors: list[BaseException] = []

    def other() -> None:
        try:
            model.generate("Ho")
        except EdgekitError as error:
            errors.append(error)

    with model.stream("Hi") as stream:
        next(stream)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
    assert [type(error) for error in errors] == [SessionBusyError]
    thread = threading.Thread(target=other)
    thread.start()
    thread.join(10)
    assert len(errors) == 1


def test_leaving_a_loop_frees_the_model(model: Model) -> None:
    for piece in model.stream("Hi"):
        if piece == "c":
            break
    gc.collect()  # for interpreters that do not count references
    assert model.generate("x", raw=True).text == "yz"


def test_an_interrupt_frees_the_model(model: Model, stub: StubRuntime) -> None:
    rule = stub.decoders[0]._rule

    def interrupted(tokens: Sequence[int]) -> int:
        raise KeyboardInterrupt

    stream = model.stream("Hi")
    assert next(stream) == "a"
    stub.decoders[0]._rule = interrupted
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    stub.decoders[0]._rule = rule
    assert stream.reply.finish_reason == "cancelled"
    assert stream.reply.text == "a"
    assert model.generate("Hi", max_tokens=3).text == "abc"


def test_a_conversation_costs_its_new_messages(model: Model) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    reply = model.generate(messages, max_tokens=5)
    messages += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": "Ho"}]
    again = model.generate(messages, max_tokens=5)
    assert again.timings.reused_tokens >= reply.timings.prompt_tokens


def test_the_context(write: Callable[..., Path], stub: StubRuntime) -> None:
    path = write(context_max=200)
    for asked, given in ((None, 200), (200, 200), (1, 1)):
        with load(path, context=asked) as model:
            assert model.session.context == given
    for asked in (201, 0, -1):
        with pytest.raises(UsageError, match=f"a context of {asked} tokens was asked for; this bundle takes 1 to 200"):
            load(path, context=asked)
    with load(write(context_max=9000)) as model:
        assert model.session.context == 4096


def test_options_reach_the_runtime(write: Callable[..., Path], stub: StubRuntime) -> None:
    with load(write(), runtime="stub", threads=3, kv="int8"):
        assert stub.opened == [LoadOptions(context=200, threads=3, kv="int8")]
    with pytest.raises(UsageError, match="threads is 0"):
        load(write(), threads=0)
    with pytest.raises(UsageError, match="kv is 'f8'"):
        load(write(), kv="f8")  # type: ignore[arg-type]


def test_a_closed_model(model: Model) -> None:
    model.close()
    model.close()
    with pytest.raises(EdgekitError, match="closed"):
        model.generate("Hi")


def test_load_is_public(write: Callable[..., Path]) -> None:
    with edgekit.load(str(write())) as model:
        assert isinstance(model, edgekit.Model)
        assert isinstance(model.generate("Hi", max_tokens=1), edgekit.Reply)


def test_nobody_changes_what_an_open_stream_has_computed(
    model: Model, write: Callable[..., Path], tmp_path: Path
) -> None:
    chat = model.chat(max_tokens=3)
    chat.send("Hi")
    chat.save(tmp_path / "talk.kv")
    stream = model.stream("Go on")
    began = next(stream)
    for use in (
        lambda: model.store_prefix("a", text="a text of some length"),
        lambda: model.resume(tmp_path / "talk.kv"),
        lambda: model.command("Go", [{"name": "go"}]),
        lambda: chat.save(tmp_path / "again.kv"),
        lambda: chat.send("And?"),
    ):
        with pytest.raises(SessionBusyError):
            use()
    with load(write()) as large, pytest.raises(SessionBusyError):
        large.generate("Hi", draft=model)
    assert began + "".join(stream) == "abcdefghijklmnopqrstuvwxyz"


def smaller(path: Path, change: Callable[[dict[str, Any]], None]) -> Model:
    """Load a copy of a bundle with smaller weights and another tokenizer."""
    copy = path.with_name("small.edge")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    tokenizer = json.loads((copy / "tokenizer.json").read_text("utf-8"))
    change(tokenizer)
    manifest = json.loads((copy / "edgekit.json").read_text("utf-8"))
    for name, content in (("tokenizer.json", json.dumps(tokenizer, indent=3).encode()), ("stub/model", b"w")):
        (copy / name).write_bytes(content)
        manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (copy / "edgekit.json").write_text(json.dumps(manifest), "utf-8")
    return load(copy)


def test_a_model_of_the_same_vocabulary_may_guess_however_its_tokenizer_is_written(write: Callable[..., Path]) -> None:
    path = write(weights=b"weights" * 9)
    with load(path) as large, smaller(path, lambda data: data.update(truncation=None)) as small:
        reply = large.generate("Hi", draft=small)
        assert reply.text == "abcdefghijklmnopqrstuvwxyz"
        assert reply.timings.accepted_tokens > 20


def test_a_model_of_another_vocabulary_is_refused_by_the_token(write: Callable[..., Path]) -> None:
    def swap(data: dict[str, Any]) -> None:
        vocabulary = data["model"]["vocab"]
        vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]

    path = write()
    with load(path) as large:
        with smaller(path, swap) as small, pytest.raises(UsageError, match=r"its token .* is 'b', not 'a'"):
            large.generate("Hi", draft=small)
        with (
            smaller(path, lambda data: data["added_tokens"].pop()) as small,
            pytest.raises(UsageError, match=r"its token .* is None, not "),
        ):
            large.generate("Hi", draft=small)


def test_a_model_that_guesses_is_taken_for_the_whole_answer(model: Model, write: Callable[..., Path]) -> None:
    with load(write()) as small:
        with model.stream("Hi", draft=small) as stream:
            next(stream)
            with pytest.raises(SessionBusyError):
                small.generate("Hi")
        assert small.generate("Hi", max_tokens=2).text == "ab"
        with pytest.raises(UsageError):
            model.generate([1, 9999], draft=small)
        assert small.generate("Hi", max_tokens=2).text == "ab"


def test_a_stream_outlives_its_model(write: Callable[..., Path]) -> None:
    with load(write()) as model:
        stream = model.stream("ababab " * 6)
        next(stream)
    stream.close()
    assert stream.reply.finish_reason == "cancelled"

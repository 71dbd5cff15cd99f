"""A model over every runtime, through text: the same seed gives the same text, however it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import write_tiny_checkpoint

import edgekit
from edgekit.errors import ContextError
from edgekit.model import Model
from edgekit.registry import runtime, runtime_names
from edgekit_exporters.export import export

SAMPLED: dict[str, Any] = {"temperature": 1.5, "top_k": 80, "top_p": 0.98, "repetition_penalty": 1.1, "seed": 11}
GREEDY: dict[str, Any] = {"temperature": 0.0}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float bundle with text, for every runtime; without ends of sequence, which noise would meet at random."""
    folder = tmp_path_factory.mktemp("text")
    checkpoint = write_tiny_checkpoint(folder / "tiny")
    config = (checkpoint / "config.json").read_text(encoding="utf-8").replace('"eos_token_id": 2', '"eos_token_id": []')
    (checkpoint / "config.json").write_text(config, encoding="utf-8")
    formats = sorted({runtime(name).format for name in runtime_names()})
    return export(checkpoint, to=formats, quantize="none", output=folder / "tiny.edge")


@pytest.fixture(scope="module", params=runtime_names())
def model(request: pytest.FixtureRequest, bundle: Path) -> Iterator[Model]:
    with edgekit.load(bundle, runtime=request.param, threads=1, context=128) as loaded:
        assert loaded.runtime == request.param
        yield loaded


@pytest.mark.parametrize("settings", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_streamed_collected_or_continued_the_text_is_the_same(model: Model, settings: dict[str, Any]) -> None:
    ids = model.tokenizer.encode("Turn the AC down.")
    whole = model.generate(ids, max_tokens=24, **settings)
    assert len(whole.tokens) == 24
    stream = model.stream(ids, max_tokens=24, **settings)
    assert "".join(stream) == stream.reply.text == whole.text
    assert stream.reply.tokens == whole.tokens
    for cut in (1, 10, 23):
        start = model.generate(ids, max_tokens=cut, **settings)
        rest = model.generate([*ids, *start.tokens], max_tokens=24 - cut, **settings)
        assert start.tokens + rest.tokens == whole.tokens
        assert rest.timings.reused_tokens >= len(ids) + cut - 1


def test_a_stream_that_was_left_changes_nothing_of_the_next(model: Model) -> None:
    whole = model.generate("Hello", max_tokens=12, **SAMPLED)
    stream = model.stream("Something else, and longer than the other one", max_tokens=30, **SAMPLED)
    next(stream)
    stream.close()
    assert stream.reply.finish_reason == "cancelled"
    again = model.generate("Hello", max_tokens=12, **SAMPLED)
    assert (again.text, again.tokens) == (whole.text, whole.tokens)


def test_saved_and_restored_a_conversation_goes_on(model: Model, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Name three colours."}]
    first = model.generate(messages, max_tokens=8, **SAMPLED)
    model.session.save(tmp_path / "state")
    messages += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "And three more."}]
    second = model.generate(messages, max_tokens=8, **SAMPLED)
    model.session.rewind(0)
    model.session.restore(tmp_path / "state")
    again = model.generate(messages, max_tokens=8, **SAMPLED)
    assert again.tokens == second.tokens
    assert again.timings.reused_tokens >= first.timings.prompt_tokens


def test_a_prompt_that_does_not_fit_is_refused_before_any_work(model: Model) -> None:
    model.generate([5, 6, 7], max_tokens=1)
    before = model.session.tokens
    with pytest.raises(ContextError, match="the prompt has 129 tokens and the context holds 128"):
        model.generate([5] * 129)
    assert model.session.tokens == before

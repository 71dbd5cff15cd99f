from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jsonschema
import numpy as np
import pytest
from echo_decoder import EchoDecoder
from stub_runtime import StubRuntime

from edgekit.errors import ContextError, EdgekitError, UsageError
from edgekit.loading import load
from edgekit.model import Model
from edgekit.scoring import probabilities
from edgekit.session import DecoderSession
from edgekit.tasks.answer import ANSWER
from edgekit.tasks.answer import schema as answer_schema
from edgekit.tasks.command import COMMAND
from edgekit.tasks.extract import EXTRACT, _schema_of_example
from edgekit.tasks.summarize import SUMMARIZE, split
from edgekit.tasks.task import count_tokens
from edgekit.tools import tool_of


@pytest.fixture
def babbler(write: Callable[..., Path], stub: StubRuntime) -> Iterator[Model]:
    """A model of random logits with room for a task's prompt."""
    with load(write(context_max=3000), context=3000) as model:
        stub.decoders[-1]._rule = None
        yield model


@dataclasses.dataclass
class Mood:
    mood: Literal["good", "bad"]
    level: Literal[1, 2, 3]


def test_extract_gives_an_instance_of_the_type(babbler: Model) -> None:
    found = babbler.extract("All is well.", Mood)
    assert isinstance(found, Mood)
    assert found.mood in ("good", "bad")
    assert re.fullmatch("[ab]{3}", babbler.extract("All is well.", re.compile("[ab]{3}")))


def test_extract_says_what_it_asks_for(babbler: Model) -> None:
    babbler.extract("All is well.", {"enum": ["yes", "no"]})
    prompt = babbler.tokenizer.decode(babbler.session.tokens, skip_special=False)
    assert "Text:\nAll is well.\n" in prompt
    assert '{"enum": ["yes", "no"]}' in prompt
    other = dataclasses.replace(EXTRACT, system="", prompt="{text}? {form}!")
    babbler.extract("Well", {"enum": ["yes", "no"]}, task=other)
    assert babbler.tokenizer.decode(babbler.session.tokens, skip_special=False).startswith("<s>u:Well? JSON")


def test_an_extract_that_is_cut_is_an_error(babbler: Model) -> None:
    with pytest.raises(EdgekitError, match="cut after 2 tokens") as caught:
        babbler.extract("All is well.", {"enum": ["a long text that is not", "another that is not"]}, max_tokens=2)
    assert "max_tokens" in caught.value.hint


@pytest.mark.parametrize(
    ("example", "filled"),
    [
        ({"name": "", "age": 0}, {"name": "Anna", "age": 31}),
        ({"price": 0.0, "paid": False}, {"price": 2, "paid": True}),
        ({"tags": [""], "any": None, "many": []}, {"tags": ["a", "b"], "any": [1], "many": ["x", 3]}),
        ({"items": [{"name": "", "count": 0}]}, {"items": [{"name": "a", "count": 2}]}),
        ({"mood": ["good", "bad"]}, {"mood": "bad"}),
    ],
)
def test_a_template_is_a_schema(example: dict[str, Any], filled: dict[str, Any]) -> None:
    schema = _schema_of_example(example)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(filled, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**filled, "more": 1}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, schema)


def test_fill(babbler: Model) -> None:
    filled = babbler.fill('{"mood": ["good", "bad"]}', "All is well.")
    assert filled["mood"] in ("good", "bad")
    for template in ("{", "[1]"):
        with pytest.raises(UsageError, match="the template is no JSON"):
            babbler.fill(template, "text")


def test_a_prompt_with_an_unknown_place() -> None:
    with pytest.raises(UsageError, match="cannot be filled") as caught:
        dataclasses.replace(EXTRACT, prompt="{txt}").messages(text="a", form="b")
    assert "{text}, {form}" in caught.value.hint


SENTENCES = [f"Sentence number {k} says something about the {k % 7}th day. " for k in range(60)]


def test_parts_are_cut_between_sentences_and_lose_nothing(babbler: Model) -> None:
    parts = split(babbler, "".join(SENTENCES), 200)
    assert len(parts) > 5
    assert "".join(" ".join(parts).split()) == "".join("".join(SENTENCES).split())
    for part in parts:
        assert len(babbler.tokenizer.encode(part, add_special_tokens=False)) <= 200
        assert part.endswith("day.")
    long_word = split(babbler, "x" * 900, 100)
    assert "".join(long_word) == "x" * 900
    assert max(len(babbler.tokenizer.encode(part, add_special_tokens=False)) for part in long_word) <= 100
    with pytest.raises(ContextError, match="leaves 3 tokens"):
        split(babbler, "text", 3)


def test_a_text_longer_than_the_context_is_summarised_in_parts(
    write: Callable[..., Path], stub: StubRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    with load(write(context_max=500), context=500) as model:
        generate = model.generate

        def noted(messages: Any, **settings: Any) -> Any:
            asked.append(messages[-1]["content"])
            return generate(messages, **settings)

        monkeypatch.setattr(model, "generate", noted)
        summary = model.summarize("".join(SENTENCES), max_tokens=40)
    assert summary == "abcdefghijklmnopqrstuvwxyz"  # what this model always says
    assert len(asked) > 5
    for sentence in SENTENCES:
        assert sum(sentence.strip() in text for text in asked) == 1
    assert asked[-1].count("abcdefghijklmnopqrstuvwxyz") == len(asked) - 1


def test_what_cannot_be_summarised(write: Callable[..., Path], stub: StubRuntime) -> None:
    with load(write(), context=200) as model:
        with pytest.raises(UsageError, match="is empty"):
            model.summarize("  ")
        with pytest.raises(ContextError):
            model.summarize("text", max_tokens=190)
        # Summaries as long as their texts never fit.
        task = dataclasses.replace(SUMMARIZE, system="", prompt="{text}")
        with pytest.raises(ContextError, match="do not fit a context of 200 either"):
            model.summarize("".join(SENTENCES), max_tokens=150, task=task)


def test_answers_keep_to_the_passages(babbler: Model) -> None:
    known = 0
    for seed in range(10):
        found = babbler.answer("When?", ["At nine.", "At ten."], temperature=1.0, seed=seed, max_tokens=1500)
        if found.known:
            known += 1
            assert set(found.passages) <= {0, 1}
            assert found.passages
            assert str(found) == found.text
        else:
            assert (found.text, found.passages) == ("", ())
    assert known
    jsonschema.validate({"known": False}, answer_schema(3))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"known": True, "passages": [4], "answer": "x"}, answer_schema(3))


def test_passages_that_the_context_does_not_hold_are_left_out(write: Callable[..., Path], stub: StubRuntime) -> None:
    with load(write(context_max=600), context=600) as model:
        stub.decoders[-1]._rule = None
        passages = [f"passage {k} " + "w" * 60 for k in range(9)]
        try:
            model.answer("When?", passages, max_tokens=100)
        except EdgekitError as error:  # random answers may be long
            assert "was cut" in error.message  # noqa: PT017
        prompt = model.tokenizer.decode(model.session.tokens, skip_special=False)
        asked = ANSWER.messages(question="When?", passages="")
        left = 600 - 100 - count_tokens(model, asked)
        each = len(model.tokenizer.encode(f"[1] {passages[0]}\n\n", add_special_tokens=False))
        assert f"passage {left // each - 1}" in prompt, "as many as fit"
        assert "passage 0" in prompt
        assert "passage 8" not in prompt
        with pytest.raises(ContextError, match="does not hold the first passage"):
            model.answer("When?", ["w" * 2000])
        with pytest.raises(UsageError, match="a question and passages"):
            model.answer("When?", [])


def turn_on(room: Literal["hall", "kitchen"]) -> str:
    """Turn a light on."""
    return f"{room} is lit"


def stop() -> str:
    """Stop everything."""
    return "stopped"


def test_no_tool_may_be_called_none(babbler: Model) -> None:
    with pytest.raises(UsageError, match="a tool is called 'none'"):
        babbler.command("Light!", [turn_on, {"name": "none"}])


def test_a_command_is_the_likeliest_function(babbler: Model) -> None:
    understood = babbler.command("Light!", [turn_on, stop], threshold=0.0)
    assert understood.name in ("turn_on", "stop", None)
    assert 1 / 3 <= understood.confidence <= 1
    if understood.name == "turn_on":
        assert understood.arguments["room"] in ("hall", "kitchen")
    if understood.name is not None:
        assert "lit" in understood() or understood() == "stopped"
    prompt = babbler.tokenizer.decode(babbler.session.tokens, skip_special=False)
    assert "Turn a light on." in prompt


def light(scene: Mood, when: Literal["now", "later"]) -> tuple[Mood, str]:
    """Light a scene."""
    return scene, when


def test_a_commands_arguments_are_of_the_annotated_types(babbler: Model) -> None:
    task = dataclasses.replace(COMMAND, system="{tools}")
    tool = dataclasses.replace(tool_of(light), name="n")
    understood = next(
        found
        for text in "abcdefghijklmnop"
        if (found := babbler.command(text, [tool], threshold=0.0, task=task)).name == "n"
    )
    scene, when = understood()
    assert isinstance(scene, Mood)
    assert scene.mood in ("good", "bad")
    assert when in ("now", "later")
    with pytest.raises(UsageError, match="cannot be filled"):
        babbler.command("a", [light], task=dataclasses.replace(COMMAND, system="{tulls}"))


def test_an_unsure_command_is_none(babbler: Model) -> None:
    unsure = babbler.command("Light!", [turn_on, stop], threshold=1.0)
    assert (unsure.name, unsure.arguments) == (None, {})
    with pytest.raises(UsageError, match="no function to call"):
        unsure()
    with pytest.raises(UsageError, match="the text is empty"):
        babbler.command(" ", [stop])
    with pytest.raises(UsageError, match="the list of tools is empty"):
        babbler.command("Light!", [])


def test_arguments_that_are_cut_are_an_error(babbler: Model) -> None:
    task = dataclasses.replace(COMMAND, system="{tools}")
    tool = {"name": "n", "parameters": {"type": "object", "properties": {"t": {"enum": ["abcdefgh", "xbcdefgh"]}}}}
    for text in "abcdefghijklmnop":
        try:
            found = babbler.command(text, [tool], threshold=0.0, task=task, max_tokens=1)
        except EdgekitError as error:
            assert "were cut after 1 tokens" in error.message  # noqa: PT017
            return
        assert found.name is None
    pytest.fail("no text was understood as the function")


def test_probabilities_are_those_of_the_logits() -> None:
    session = DecoderSession(EchoDecoder(vocab_size=30))
    sequences = [[1, 2, 3, 4, 5], [1, 2, 3, 4, 6, 7], [1, 2, 9]]
    found = probabilities(session, sequences)
    scores = []
    for ids in sequences:
        fresh = DecoderSession(EchoDecoder(vocab_size=30))
        rows = fresh.forward(ids[:-1], last=len(ids) - 1).astype(np.float64)
        logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        scores.append(sum(logs[k, token] for k, token in enumerate(ids[1:])))
    expected = np.exp(scores) / np.exp(scores).sum()
    assert found == pytest.approx(expected)
    assert probabilities(session, [[4, 5]]) == pytest.approx([1.0])

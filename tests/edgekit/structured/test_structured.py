"""Answers with a schema, by a model that says anything: random logits over a real kind of tokenizer."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jsonschema
import llguidance
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import trained
from stub_runtime import StubRuntime

import edgekit
from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.generation import Reply
from edgekit.loading import load
from edgekit.model import Model
from edgekit.structured.constraint import GrammarConstraint, Vocabulary
from edgekit.structured.grammar import grammar_of

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "mood": {"enum": ["good", "bad"]},
    },
    "required": ["name", "age", "mood"],
    "additionalProperties": False,
}


@pytest.fixture
def babbler(write: Callable[..., Path], stub: StubRuntime) -> Iterator[Model]:
    """A model whose logits are random at every position."""
    with load(write()) as model:
        stub.decoders[-1]._rule = None
        yield model


def said(model: Model, schema: Any, seed: int, **settings: Any) -> Reply:
    return model.generate("Hi", schema=schema, temperature=1.0, seed=seed, **{"max_tokens": 120, **settings})


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31))
def test_what_is_finished_parses_and_validates(seed: int) -> None:
    reply = said(_MODEL[0], PERSON, seed)
    if reply.finish_reason == "stop":
        assert json.loads(reply.text) == reply.value
        jsonschema.validate(reply.value, PERSON)
    else:
        assert reply.value is None


_MODEL: list[Model] = []


@pytest.fixture(autouse=True)
def _open(babbler: Model) -> Iterator[None]:
    _MODEL[:] = [babbler]
    yield
    _MODEL.clear()


def test_what_is_forced_takes_no_pass_of_its_own(babbler: Model, stub: StubRuntime) -> None:
    reply = said(babbler, PERSON, 1)
    assert reply.finish_reason == "stop"
    timings = reply.timings
    assert timings.forced_tokens > 5
    # Every pass but the one over the prompt was asked for one choice, and computed what was forced before it as well.
    chosen = len(reply.tokens) - timings.forced_tokens
    assert timings.passes + 1 == chosen - timings.accepted_tokens
    assert stub.decoders[-1].computed[0] > timings.prompt_tokens
    assert sum(logprob == 0 for logprob in reply.logprobs) == timings.forced_tokens
    # The session ends as if all had been computed one by one.
    held = babbler.session.tokens
    assert held == (*held[: timings.prompt_tokens], *reply.tokens)[: len(held)]


def test_an_answer_that_is_forced_whole_needs_no_model(babbler: Model, stub: StubRuntime) -> None:
    reply = babbler.generate("Hi", schema={"const": {"answer": "forty two"}})
    assert reply.value == {"answer": "forty two"}
    assert reply.finish_reason == "stop"
    assert stub.decoders[-1].computed == []


def test_one_that_is_cut_has_no_value(babbler: Model) -> None:
    reply = said(babbler, PERSON, 1, max_tokens=4)
    assert (reply.finish_reason, reply.value) == ("length", None)


@pytest.mark.parametrize("seed", range(8))
def test_expressions_grammars_and_types(babbler: Model, seed: int) -> None:
    code = said(babbler, re.compile(r"[A-F]{2}-\d{3}"), seed)
    assert re.fullmatch(r"[A-F]{2}-\d{3}", code.value)
    assert code.text == code.value
    assert said(babbler, edgekit.Lark('start: "yes" | "no" | "perhaps"'), seed).value in ("yes", "no", "perhaps")
    assert said(babbler, Literal["red", "green"], seed).value in ("red", "green")
    shouted = said(babbler, re.compile("abc", re.IGNORECASE), seed).value
    assert shouted.lower() == "abc"


@pytest.mark.parametrize(
    "pattern",
    [r"^\d{2}$", r"[\d_]{3}", r"\$\d", r"[$^]{2}", r"\w\s\w", r"\\d", r"[\]\w]{2}", r"\D\W\S", r"a|b$", r"[^\s]{2}"],
)
def test_an_expression_means_what_it_means_to_python(babbler: Model, pattern: str) -> None:
    for seed in range(5):
        assert re.fullmatch(pattern, said(babbler, re.compile(pattern), seed).value)


CHARACTERS = [*map(chr, range(0x80)), *"\x85\xa0é²½٣ⅣӐ一\u2003\u200b\U0001f600"]
CLASSES = [
    r"[^\s]", r"[^\d]", r"[^\w]", r"\S", r"\D", r"\W", r"[\S]", r"[\W]", r"[]a]", r"[^]a]", r"[[a]", r"[a&&b]",
    r"[a~~z]", r"[+--]", r"[--a]", r"[^--a]", r"[^a\s-]", r"[a-f\d-]", r"[[:alpha:]",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Possible")  # of sets of sets, which Python does not have either
def test_a_class_has_no_character_that_it_lacks_for_python(babbler: Model) -> None:
    ascii_only = {character for character in CHARACTERS if character.isascii()}
    for pattern in CLASSES:
        compiled = re.compile(pattern)
        matcher = llguidance.LLMatcher(babbler._vocabulary.tokens, grammar_of(compiled).source, log_level=0)
        allowed = {character for character in CHARACTERS if _takes(matcher.deep_copy(), babbler, character)}
        meant = {character for character in CHARACTERS if compiled.fullmatch(character)}
        assert allowed <= meant, pattern
        assert allowed & ascii_only >= (meant & ascii_only), pattern


def _takes(matcher: Any, model: Model, character: str) -> bool:
    ids = model.tokenizer.encode(character, add_special_tokens=False)
    return bool(matcher.consume_tokens(ids) and matcher.is_accepting())


def test_guesses_and_a_schema_together_change_nothing(babbler: Model) -> None:
    schema = {"type": "array", "items": {"enum": ["again and again", "once"]}, "minItems": 9, "maxItems": 9}
    plain = said(babbler, schema, 3, draft=None, max_tokens=190)
    guessed = said(babbler, schema, 3, max_tokens=190)
    assert plain.tokens == guessed.tokens
    assert guessed.timings.passes <= plain.timings.passes


CYCLE: dict[str, Any] = {"type": "object"}
CYCLE["properties"] = {"a": CYCLE}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def test_a_type_that_refuses_its_values_ends_in_words(babbler: Model) -> None:
    with pytest.raises(EdgekitError, match="cannot be taken: no mood"):
        said(babbler, Moody, 1)
    assert babbler.generate("Hi", schema=Literal["a"]).value == "a"
    with pytest.raises(EdgekitError, match="cannot be taken"):
        grammar_of({}).read("[" * 10**5 + "]" * 10**5)


@dataclasses.dataclass
class Moody:
    mood: Literal["good", "bad"]

    def __post_init__(self) -> None:
        raise ValueError("no mood")


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "strng"}, "Invalid type: strng"),
        ({"type": "object", "properties": 3}, "properties must be an object"),
        ({"not": {"type": "string"}}, 'the keywords "not" are not supported'),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "contains": {"type": "integer"}}, "contains"),
        ({"type": "number", "divisibleBy": 2}, '"divisibleBy" at / is not supported'),
        ({"properties": {"a": {"extends": {}}}}, '"extends" at /properties/a is not supported'),
        ({"type": "string", "format": "iri"}, "Unknown format: iri"),
        ({"type": "string", "pattern": "("}, "regex parse error"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "Unsatisfiable"),
        ({"$ref": "https://example.com/schema"}, "example.com"),
        ({"$ref": "#"}, "cannot be kept to"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "cannot be kept to"),
        ({"enum": []}, "Unsatisfiable"),
        ({"enum": {1, 2}}, "no JSON"),
        (nested(3000), "nested too deeply"),
        (CYCLE, "nested too deeply"),
        ({"not": {}, "x-guidance": {"lenient": True}}, '"x-guidance" at / is not supported'),
        ('{"type": "string"}', "a text may be a schema"),
        (re.compile("(a"[1:] + r"\b"), "lookarounds not supported"),
        (re.compile(rb"a"), "one of bytes"),
        (re.compile(r"(\w+)-\1"), "backreferences are not supported"),
        (edgekit.Lark("start: missing"), "the grammar cannot be kept to"),
        (edgekit.Lark("not a grammar"), "the grammar cannot be kept to"),
        (complex, "has no JSON schema"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_by_name(babbler: Model, schema: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        babbler.generate("Hi", schema=schema)
    assert babbler.generate("Hi", schema=Literal["a"]).value == "a"


@pytest.mark.parametrize(
    "pattern", ["((a{1,999}){1,999}){1,999}x", "(.*a){1,60}[^b]{900}", "([a-z]{1,50}){1,50}=(.|..){1,900}"]
)
def test_an_expression_that_explodes_ends_in_words(babbler: Model, pattern: str) -> None:
    try:
        reply = said(babbler, re.compile(pattern), 1, max_tokens=40)
    except EdgekitError as error:
        assert "cannot be kept to" in error.message or "too complex" in error.message  # noqa: PT017 - either way ends it
    else:
        assert reply.finish_reason == "length" or re.fullmatch(pattern, reply.value)
    assert babbler.generate("Hi", schema=Literal["a"]).value == "a"


def test_a_recursive_schema_is_kept_to(babbler: Model) -> None:
    tree = {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"v": {"enum": [1, 2]}, "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}},
                "required": ["v", "next"],
                "additionalProperties": False,
            }
        },
    }
    finished = 0
    for seed in range(6):
        reply = said(babbler, tree, seed)
        if reply.value is not None:
            finished += 1
            jsonschema.validate(reply.value, tree)
    assert finished > 2


def test_a_format_of_ones_own_says_nothing_and_a_property_of_that_name_stays(babbler: Model) -> None:
    own = {
        "type": "object",
        "properties": {
            "format": {"type": "string", "format": "haiku", "maxLength": 3},
            "kind": {"const": {"format": "x"}},
        },
        "required": ["format", "kind"],
        "additionalProperties": False,
    }
    values = [reply.value for seed in range(6) if (reply := said(babbler, own, seed)).value is not None]
    assert values
    for value in values:
        jsonschema.validate(value, own)
        assert len(value["format"]) <= 3


def test_stop_strings_do_not_go_with_a_schema(babbler: Model) -> None:
    with pytest.raises(UsageError, match="and so does a stop string"):
        babbler.generate("Hi", schema=PERSON, stop=["}"])


def test_without_a_tokenizer(write: Callable[..., Path]) -> None:
    with load(write(tokenizer=False, template=None)) as model, pytest.raises(BundleError, match="has no tokenizer"):
        model.generate([1, 2], schema=PERSON)


def test_without_llguidance_the_hint_names_the_extra(babbler: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(EdgekitError, match="structured output needs the package llguidance") as caught:
        babbler.generate("Hi", schema=PERSON)
    assert caught.value.hint == 'pip install "edgekit-sdk[schema]"'


def test_masks_allow_what_the_grammar_allows(babbler: Model) -> None:
    """Against the tokens' own texts: with a constant as schema just its beginnings are allowed."""
    babbler.generate("Hi", schema=Literal["a"])
    constraint = GrammarConstraint(grammar_of(re.compile("[ab]{9}")), babbler._vocabulary)
    assert list(constraint.start()) == []
    allowed = np.flatnonzero(np.isfinite(constraint.allow(np.zeros(babbler.session.vocab_size, np.float32))))
    texts = {
        token: babbler.tokenizer.decode([token], skip_special=False) for token in range(babbler.tokenizer.vocab_size)
    }
    expected = [token for token, text in texts.items() if re.fullmatch("[ab]{1,9}", text)]
    assert allowed.tolist() == expected
    assert len(expected) >= 2


def test_a_tokenizer_that_llguidance_panics_at_is_an_error(tmp_path: Path) -> None:
    data = json.loads(trained("byte_level"))
    data["model"]["continuing_subword_prefix"] = "##"  # cut off the second half of a merge, where there is none
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), "utf-8")
    with pytest.raises(BundleError, match=r"llguidance cannot read .*tokenizer\.json"):
        Vocabulary(tmp_path / "tokenizer.json", 400, [1])

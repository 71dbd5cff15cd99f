"""What an answer must look like, as a caller says it and as llguidance takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgekit.errors import MissingExtraError, UsageError
from edgekit.structured.types import Build, schema_of

Schema: TypeAlias = Any
"""A JSON schema as a dict, a Python type, a compiled regular expression, or a `Lark` grammar."""

OPTIONS = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
"""JSON as `json.dumps` writes it, which is what models have seen most. Where spaces are not free, more is forced."""
OUTDATED = frozenset({"divisibleBy", "disallow", "extends", "$recursiveRef"})
"""Keywords of old drafts that llguidance would take for annotations, and that say something all the same."""
_DICT_KEYWORDS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose value has names of the caller's own as keys, and schemas below them."""
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r" \t\n\r\f\v"}
_LITERAL_KEYWORDS = frozenset({"const", "enum", "default", "examples", "example"})


@dataclass(frozen=True)
class Lark:
    """A grammar in llguidance's dialect of Lark: `start: "yes" | "no"`."""

    text: str


@dataclass(frozen=True)
class Grammar:
    """A form of answers: the grammar for llguidance, and what makes the value of a finished answer's text."""

    source: str
    read: Callable[[str], Any]


def grammar_of(wanted: Schema) -> Grammar:
    """Return the grammar of what a caller asks for.

    Args:
        wanted: A JSON schema as a dict; a Python type (`types.schema_of` says which); a compiled regular expression; a
            `Lark` grammar. A `Grammar` is returned as it is.

    Raises:
        UsageError: it is none of these, not valid, or uses a keyword that cannot be kept to, which the error names.
        MissingExtraError: the package llguidance is not installed.
    """
    if isinstance(wanted, Grammar):
        return wanted
    matcher = _llguidance().LLMatcher
    if isinstance(wanted, Lark):
        return _checked(Grammar(matcher.grammar_from_lark(wanted.text), _text), "the grammar")
    if isinstance(wanted, re.Pattern):
        return _checked(Grammar(matcher.grammar_from_regex(_pattern(wanted)), _text), "the regular expression")
    if isinstance(wanted, str):
        hint = "give json.loads(text), re.compile(text) or edgekit.Lark(text), as it is meant"
        raise UsageError("a text may be a schema, a regular expression or a grammar", hint)
    schema, build = (dict(wanted), None) if isinstance(wanted, Mapping) else schema_of(wanted)
    _refuse_outdated(schema, "")
    try:
        source = matcher.grammar_from_json_schema(json.dumps(schema), overrides=OPTIONS)
    except (TypeError, ValueError, RecursionError) as error:
        hint = "a schema is made of dicts, lists, texts and numbers"
        raise UsageError(f"the schema is no JSON: {error}", hint) from error
    return _checked(Grammar(source, _json(build)), "the schema")


def _llguidance() -> Any:  # noqa: ANN401 - a module that may be missing
    try:
        import llguidance
    except ModuleNotFoundError as error:
        raise MissingExtraError("llguidance", "structured output", "schema") from error
    return llguidance


def _checked(grammar: Grammar, what: str) -> Grammar:
    wrong, messages = _llguidance().LLMatcher.validate_grammar_with_warnings(grammar.source)
    if wrong:
        raise UsageError(f"{what} cannot be kept to: {_reason(messages[0])}", "leave that out, or say it otherwise")
    return grammar


def _reason(message: str) -> str:
    """Return llguidance's message in one line, without the grammar that it made of a schema."""
    lines = [line.strip() for line in message.partition("\n   1 |")[0].splitlines()]
    said = " ".join(line for line in lines if line not in ("", "^"))
    return re.sub(r'^Unimplemented keys: \["(.*)"\]$', r'the keywords "\1" are not supported', said)[:300]


def _pattern(wanted: re.Pattern[Any]) -> str:
    """Return a Python expression as llguidance takes it; an answer always matches the whole of it."""
    if not isinstance(wanted.pattern, str):
        raise UsageError("the regular expression is one of bytes", "compile it from a text")
    flags = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x"}
    letters = "".join(letter for flag, letter in flags.items() if wanted.flags & flag)
    text = _plain_classes(wanted.pattern.removeprefix("^"))
    return f"(?{letters}:{text})" if letters else text


def _plain_classes(pattern: str) -> str:
    r"""Write out \d, \w and \s in ASCII, and drop a last $.

    Their Unicode forms grow with every version of Unicode, and llguidance may know a later one than `re` does.
    """
    written, in_class, escaped = [], False, False
    for place, character in enumerate(pattern):
        if escaped:
            inside = _CLASSES.get(character)
            written.append(f"\\{character}" if inside is None else inside if in_class else f"[{inside}]")
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "$" and place == len(pattern) - 1 and not in_class:
            break
        else:
            # A bracket that opens within a class is a character of it.
            in_class = character == "[" if not in_class else character != "]"
            written.append(character)
    return "".join(written)


def _refuse_outdated(schema: Any, place: str) -> None:  # noqa: ANN401 - a part of a schema
    """Walk through all schemas within a schema.

    Raises:
        UsageError: an outdated keyword, with its place.
    """
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            _refuse_outdated(item, f"{place}/{index}")
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key in OUTDATED:
            raise UsageError(f'the keyword "{key}" at {place or "/"} is not supported', "say it in JSON Schema 2020-12")
        if key in _DICT_KEYWORDS and isinstance(value, Mapping):
            for name, item in value.items():
                _refuse_outdated(item, f"{place}/{key}/{name}")
        elif key not in _LITERAL_KEYWORDS:
            _refuse_outdated(value, f"{place}/{key}")


def _text(text: str) -> str:
    return text


def _json(build: Build | None) -> Callable[[str], Any]:
    return json.loads if build is None else lambda text: build(json.loads(text))

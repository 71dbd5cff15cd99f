"""What an answer must look like, as a caller says it and as llguidance takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgekit.errors import EdgekitError, MissingExtraError, UsageError
from edgekit.structured.types import Build, schema_of

Schema: TypeAlias = Any
"""A JSON schema as a dict, a Python type, a compiled regular expression, or a `Lark` grammar."""

OPTIONS = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
"""JSON as `json.dumps` writes it, which is what models have seen most. Where spaces are not free, more is forced."""
OUTDATED = frozenset({"divisibleBy", "disallow", "extends", "$recursiveRef", "x-guidance"})
"""Keywords of old drafts that llguidance would take for annotations, and that say something all the same; and its own
one, which may have it ignore keywords and write JSON otherwise than `OPTIONS` say."""
FORMATS = frozenset(
    {
        *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
        *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid", "regex", "color"),
        *("json-pointer", "relative-json-pointer", "ip-address", "host-name", "style", "phone", "utc-millisec"),
    }
)
"""Those that a draft of JSON Schema defines. Any other is its author's own, and says nothing to a validator."""
_DICT_KEYWORDS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose value has names of the caller's own as keys, and schemas below them."""
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r" \t\n\r\f\v"}
_MORE = {"s": r"\x1c-\x1f", "w": r"\p{N}"}
"""What is a space or part of a word for Python, and not for Rust."""
_INVERSE = {"S": rf"[^\s{_MORE['s']}]", "W": rf"[^\w{_MORE['w']}]"}
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
    try:
        source = matcher.grammar_from_json_schema(json.dumps(_plain(schema, "")), overrides=OPTIONS)
    except (TypeError, ValueError, RecursionError) as error:
        hint = "a schema is made of dicts, lists, texts and numbers"
        raise UsageError(f"the schema is no JSON, or nested too deeply: {error}", hint) from error
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
    r"""Write an expression so that all it matches for llguidance, it matches for Python as well.

    \d, \w and \s become ASCII, since their Unicode forms grow with every version of Unicode; where they are excluded
    they stay what they are, and what only Python counts among them is excluded as well. Within a class the brackets
    and doubled signs that Rust has for classes of classes become characters. A last $ is dropped.
    """
    written, place = [], 0
    while place < len(pattern):
        character = pattern[place]
        if character == "[":
            text, place = _plain_class(pattern, place)
            written.append(text)
        elif character == "\\":
            following = pattern[place + 1 : place + 2]
            inside = _CLASSES.get(following)
            written.append(f"[{inside}]" if inside else _INVERSE.get(following, f"\\{following}"))
            place += 2
        elif character == "$" and place == len(pattern) - 1:
            break
        else:
            written.append(character)
            place += 1
    return "".join(written)


def _plain_class(pattern: str, start: int) -> tuple[str, int]:
    """Return the class that begins at `start`, written plainly, and the place behind it."""
    excluded = pattern.startswith("[^", start)
    place = start + 1 + excluded
    written = ["[^" if excluded else "["]
    first = place
    while place < len(pattern) and (pattern[place] != "]" or place == first):
        character = pattern[place]
        if character == "\\":
            escape = pattern[place + 1 : place + 2]
            if excluded:
                written.append(f"\\{escape}{_MORE.get(escape, '')}")
            else:
                written.append(_CLASSES.get(escape) or _INVERSE.get(escape, f"\\{escape}"))
            place += 2
        else:
            doubled = character in "&~" and place > first and pattern[place - 1] == character
            # A hyphen behind another is the end of a range, unless the other is the first and begins one.
            hyphen = character == "-" and (place == first or (pattern[place - 1] == "-" and place - 1 > first))
            written.append(f"\\{character}" if character in "[]" or doubled or hyphen else character)
            place += 1
    return "".join(written) + pattern[place : place + 1], place + 1


def _plain(schema: Any, place: str) -> Any:  # noqa: ANN401 - a part of a schema
    """Return a schema, and all schemas within it, without formats that nobody defined.

    Raises:
        UsageError: an outdated keyword, with its place.
    """
    if isinstance(schema, (list, tuple)):
        return [_plain(item, f"{place}/{index}") for index, item in enumerate(schema)]
    if not isinstance(schema, Mapping):
        return schema
    plain = {}
    for key, value in schema.items():
        if key in OUTDATED:
            raise UsageError(f'the keyword "{key}" at {place or "/"} is not supported', "say it in JSON Schema 2020-12")
        if key == "format" and isinstance(value, str) and value not in FORMATS:
            continue
        if key in _DICT_KEYWORDS and isinstance(value, Mapping):
            plain[key] = {name: _plain(item, f"{place}/{key}/{name}") for name, item in value.items()}
        else:
            plain[key] = value if key in _LITERAL_KEYWORDS else _plain(value, f"{place}/{key}")
    return plain


def _text(text: str) -> str:
    return text


def _json(build: Build | None) -> Callable[[str], Any]:
    def read(text: str) -> Any:  # noqa: ANN401 - a JSON value, or an instance of the caller's type
        try:
            value = json.loads(text)
            return value if build is None else build(value)
        except (ValueError, TypeError, RecursionError) as error:
            # Python reads neither every depth nor every length of number, and a type may check more than its schema.
            raise EdgekitError(
                f"the answer keeps to the schema, and cannot be taken: {error}", "ask again, or say more in the schema"
            ) from error

    return read

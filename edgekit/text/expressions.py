"""Runs the regular expressions of tokenizer.json with `re`, whose own idea of letters and digits is not used.

A hostile expression must not run for ever: what is repeated without end may match a given text in one way only, so that
going back is never exponential.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgekit.text.characters import Characters, characters
from edgekit.text.expression_syntax import (
    Choice,
    ExpressionError,
    Group,
    Node,
    OneOf,
    Place,
    Repeat,
    Sequence,
    parse,
)
from edgekit.text.properties import ANY

Span = tuple[int, int]


@dataclass(frozen=True)
class Expression:
    """A compiled expression, and whether it can match nothing."""

    compiled: re.Pattern[str]
    may_be_empty: bool

    def spans(self, text: str) -> Iterator[Span]:
        """Yield where it matches, one after the other; nowhere in a text without characters."""
        if not text:
            return iter(())
        if not self.may_be_empty:
            return (match.span() for match in self.compiled.finditer(text))
        return self._spans_and_empty_ones(text)

    def _spans_and_empty_ones(self, text: str) -> Iterator[Span]:
        """Do as `FindMatches` of the crate onig: an empty match where the last one ended is left out."""
        at, last = 0, -1
        while at <= len(text) and (match := self.compiled.search(text, at)):
            start, stop = match.span()
            if start == stop == last:
                at += 1
            else:
                at = last = stop
                yield start, stop


def compile_expression(source: str) -> Expression:
    """Compile an expression as Oniguruma understands it.

    Raises:
        ExpressionError: it is damaged, or has something that is not known here.
    """
    node = parse(source)
    _check_repeats(node)
    try:
        compiled = re.compile(_Writer().write(node))
    except (re.error, OverflowError, RecursionError) as error:  # such as a look behind of any length
        raise ExpressionError(str(error)) from error
    return Expression(compiled, _least(node) == 0)


def literal(text: str) -> Expression:
    """Return an expression that matches a text as it is."""
    return Expression(re.compile(re.escape(text)), not text)


def one_of(found: Characters) -> Expression:
    """Return an expression that matches one character of a set."""
    return Expression(re.compile(found.pattern()), may_be_empty=False)


def runs_of(*sets: Characters) -> Expression:
    """Return an expression that matches as many characters of one of some sets as there are."""
    return Expression(re.compile("|".join(f"{found.pattern()}+" for found in sets)), may_be_empty=False)


class _Writer:
    def __init__(self) -> None:
        self._groups = 0

    def write(self, node: Node) -> str:
        if isinstance(node, OneOf):
            return node.set.pattern()
        if isinstance(node, Sequence):
            return "".join(map(self._part, node.parts))
        if isinstance(node, Choice):
            return "|".join(map(self.write, node.alternatives))
        if isinstance(node, Repeat):
            return self._repeat(node)
        if isinstance(node, Group):
            return self._atomic(self.write(node.part)) if node.kind == ">" else f"(?{node.kind}{self.write(node.part)})"
        return _PLACES[node.sign]()

    def _part(self, node: Node) -> str:
        return f"(?:{self.write(node)})" if isinstance(node, Choice) else self.write(node)

    def _repeat(self, node: Repeat) -> str:
        part = self.write(node.part)
        if not isinstance(node.part, OneOf):
            part = f"(?:{part})"
        most = "" if node.most is None else node.most
        text = f"{part}{{{node.least},{most}}}"
        return self._atomic(text) if node.suffix == "+" else text + node.suffix

    def _atomic(self, text: str) -> str:
        """Match what is ahead without a way back, then take it: `re` has (?>...) from Python 3.11 only."""
        self._groups += 1
        return f"(?=(?P<g{self._groups}>{text}))(?P=g{self._groups})"


def _word_border(inside: bool) -> str:
    word = characters("word").pattern()
    same = f"(?<={word})(?={word})|(?<!{word})(?!{word})"
    return f"(?:{same})" if inside else f"(?!{same})"


_PLACES: dict[str, Callable[[], str]] = {
    "^": lambda: r"(?:\A|(?<=\n)(?!\Z))",
    "$": lambda: r"(?=\n|\Z)",
    "\\A": lambda: r"\A",
    "\\z": lambda: r"\Z",
    "\\Z": lambda: r"(?=\n?\Z)",
    "\\b": lambda: _word_border(inside=False),
    "\\B": lambda: _word_border(inside=True),
}


def _least(node: Node) -> int:
    """Return the fewest characters that a node can match."""
    if isinstance(node, OneOf):
        return 1
    if isinstance(node, Sequence):
        return sum(map(_least, node.parts))
    if isinstance(node, Choice):
        return min(map(_least, node.alternatives))
    if isinstance(node, Repeat):
        return node.least * _least(node.part)
    return _least(node.part) if isinstance(node, Group) and node.kind == ">" else 0


def _check_repeats(node: Node) -> None:
    """Refuse repeats of what can match a text in more than one way.

    Raises:
        ExpressionError: with what is repeated.
    """
    if isinstance(node, Repeat) and (node.most is None or node.most > 1) and not _has_one_way(node.part):
        raise ExpressionError("a repeat of what can match in more than one way, which may take for ever,")
    for part in _parts(node):
        _check_repeats(part)


def _parts(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Sequence):
        return node.parts
    if isinstance(node, Choice):
        return node.alternatives
    return () if isinstance(node, (OneOf, Place)) else (node.part,)


def _has_one_way(node: Node) -> bool:
    """Whether a node matches a text in one way at most, wherever it ends, and never nothing."""
    if isinstance(node, OneOf):
        return True
    if isinstance(node, Choice):
        seen = Characters(())
        for alternative in node.alternatives:
            first = _first(alternative)
            if seen & first or not _has_one_way(alternative):
                return False
            seen |= first
        return True
    if not isinstance(node, Sequence) or not node.parts or not _has_one_way(node.parts[-1]):
        return False
    for part, after in zip(node.parts, node.parts[1:], strict=False):
        if isinstance(part, Repeat) and part.most == 1 and part.least == 0:
            # An optional part is taken or not as the next character says.
            if not _has_one_way(part.part) or _first(part.part) & _first(after):
                return False
        elif not _has_one_way(part):
            return False
    return True


def _first(node: Node) -> Characters:
    """Return the characters that a node that is not empty can begin with, or more."""
    if isinstance(node, OneOf):
        return node.set
    if isinstance(node, Choice):
        found = Characters(())
        for alternative in node.alternatives:
            found |= _first(alternative)
        return found
    if isinstance(node, Sequence) and node.parts:
        first = node.parts[0]
        if isinstance(first, Repeat) and first.most == 1:
            return _first(first.part) | _first(Sequence(node.parts[1:]))
        return _first(first)
    return ANY

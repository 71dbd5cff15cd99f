"""Finds the sentences of a text by its punctuation, as Latin, Cyrillic and Greek writing and Chinese have it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(
    r"(?<![.!?…])[.!?…]+[\"'’”»)\]]*(?=\s+[\"'‘“«(\[¿¡]*[^\W_])"
    r"|[。！？]+[」』”’）]*"
    r"|\n[ \t]*(?=(?:[-*+•]|\d{1,3}[.)])[ \t])"
)
_NEXT = re.compile(r"\s*(\S?)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'])(?:[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|Vol|Fig|Art|Abs|Str|vs|etc|ca|cf|al|bzw|approx)$"
)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences and list items of a text as characters start..stop, without space around them."""
    start = 0
    for found in _END.finditer(text):
        if found[0][0] == "." and _ends_an_abbreviation(text, start, found):
            continue
        yield from _stripped(text, start, found.end())
        start = found.end()
    yield from _stripped(text, start, len(text))


def _ends_an_abbreviation(text: str, start: int, found: re.Match[str]) -> bool:
    following = _NEXT.match(text, found.end())
    before = text[max(start, found.start() - 16) : found.start()]
    return (following is not None and following[1].islower()) or _ABBREVIATION.search(before) is not None


def _stripped(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    own = text[start:stop]
    bare = own.strip()
    if bare:
        first = start + len(own) - len(own.lstrip())
        yield first, first + len(bare)

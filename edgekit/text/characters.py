"""Sets of characters, and their properties as the package tokenizers has them, whatever Unicode this Python knows."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain

from edgekit.text.unicode_tables import LOWER, TABLES

_END = 0x110000


@dataclass(frozen=True)
class Characters:
    """A set of characters as ranges of code points, start to stop, in order and apart from each other."""

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> Characters:
        """Return the characters in ranges of any order."""
        joined: list[tuple[int, int]] = []
        for start, stop in sorted(spans):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
            else:
                joined.append((start, stop))
        return cls(tuple(joined))

    @classmethod
    def from_text(cls, text: str) -> Characters:
        """Return the characters of a text."""
        return cls.of((ord(character), ord(character) + 1) for character in text)

    def __or__(self, other: Characters) -> Characters:
        return Characters.of(chain(self.spans, other.spans))

    def __invert__(self) -> Characters:
        edges = [0, *chain.from_iterable(self.spans), _END]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return Characters(tuple((start, stop) for start, stop in pairs if start < stop))

    def __and__(self, other: Characters) -> Characters:
        return ~(~self | ~other)

    def __sub__(self, other: Characters) -> Characters:
        return self & ~other

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.spans)

    def __iter__(self) -> Iterator[str]:
        return (chr(code) for start, stop in self.spans for code in range(start, stop))

    def pattern(self) -> str:
        """Return an expression for `re` that matches one of them."""
        if not self.spans:
            return "(?!)"
        other = (~self).spans
        negated = len(other) < len(self.spans)
        parts = (
            _escape(start) if stop - start == 1 else f"{_escape(start)}-{_escape(stop - 1)}"
            for start, stop in (other if negated else self.spans)
        )
        return f"[{'^' if negated else ''}{''.join(parts)}]" if other else r"[\x00-\U0010ffff]"


@cache
def characters(name: str) -> Characters:
    """Return the characters that have a property, one of those in `unicode_tables.py`."""
    spans, at = [], 0
    numbers = _numbers(TABLES[name])
    for gap, length in zip(numbers, numbers, strict=True):
        spans.append((at + gap, at + gap + length))
        at += gap + length
    return Characters(tuple(spans))


WHITE_SPACE = Characters.from_text("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | Characters.of(
    [(0x2000, 0x200B)]
)
"""White_Space of Unicode, which has not changed for long."""
ASCII_PUNCTUATION = Characters.from_text("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@cache
def lower_case() -> dict[int, str]:
    """Return the lower case of every character that has another one, for `str.translate`.

    İ has two characters: i and a dot above.
    """
    table, at = {0x130: "i\u0307"}, 0
    numbers = _numbers(LOWER)
    for gap, distance in zip(numbers, numbers, strict=True):
        at += gap
        table[at] = chr(at - distance // 2 if distance % 2 else at + distance // 2)
    return table


def _numbers(packed: str) -> Iterator[int]:
    number = shift = 0
    for byte in zlib.decompress(base64.b85decode(packed)):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0


def _escape(code: int) -> str:
    character = chr(code)
    if code < 0x80 and character.isalnum():
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

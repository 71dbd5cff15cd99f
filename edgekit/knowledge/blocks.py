"""The parts that a document consists of before it is cut into chunks: paragraphs below their headings."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A paragraph, list, table or listing, and the headings that it stands below, the outermost first."""

    text: str
    headings: tuple[str, ...]
    starts: tuple[tuple[int, int], ...]
    """Where lines of the source begin: (character of `text`, number of the line), the first at character 0."""
    preformatted: bool = False
    """Line ends mean something: code and tables."""

    def line_at(self, position: int) -> int:
        """Return the line of the source, counted from 1, that a character of the text stands on."""
        return self.starts[bisect_right(self.starts, (position, 1 << 62)) - 1][1]


def lines(text: str) -> list[str]:
    """Return the lines of a text with their ends; `str.splitlines` also parts where editors do not."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def without_comments(text: str) -> str:
    """Return Markdown or HTML without `<!-- -->`; line ends stay, so that the lines behind keep their numbers."""
    return re.sub(r"<!--.*?(?:-->|\Z)", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)


Reader = Callable[[str], Iterator[Block]]


class Collector:
    """Collects the text of one block and remembers which line each part came from."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._starts: list[tuple[int, int]] = []
        self._length = 0

    def add(self, text: str, line: int) -> None:
        """Append text that begins on a line; line ends within it are counted."""
        for number, part in enumerate(lines(text), line):
            self._starts.append((self._length, number))
            self._parts.append(part)
            self._length += len(part)

    def take(self, headings: tuple[str, ...], *, preformatted: bool = False) -> Iterator[Block]:
        """Yield what was collected as a block, if there is any text in it, and begin anew."""
        text, starts = "".join(self._parts), tuple(self._starts)
        self._parts, self._starts, self._length = [], [], 0
        if text.strip():
            yield Block(text, headings, starts, preformatted)


def read_text(text: str) -> Iterator[Block]:
    """Yield the paragraphs of a plain text: they are parted by empty lines."""
    collected = Collector()
    for number, line in enumerate(lines(text), 1):
        if line.strip():
            collected.add(line, number)
        else:
            yield from collected.take(())
    yield from collected.take(())

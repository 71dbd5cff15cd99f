"""Reads Markdown as far as its parts go: headings, paragraphs, lists, tables, code (CommonMark 0.31, chapters 4, 5).

Marks inside of a paragraph stay as they are: they are short, and models read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekit.knowledge.blocks import Block, Collector, without_comments

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}")
_TABLE = re.compile(r"[ \t]*\|.*")
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")


def read_markdown(text: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown text."""
    reader = _Markdown()
    lines = without_comments(text).split("\n")
    skipped = _front_matter(lines)
    for number, line in enumerate(lines[skipped:], 1 + skipped):
        yield from reader.line(line, number)
    yield from reader.end()


def _front_matter(lines: list[str]) -> int:
    """Return how many lines belong to a block of metadata between two lines of ---."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    return next((number + 1 for number, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), 0)


class _Markdown:
    def __init__(self) -> None:
        self._collected = Collector()
        self._lines: list[tuple[str, int]] = []
        self._headings: list[tuple[int, str]] = []
        self._fence = ""

    def line(self, line: str, number: int) -> Iterator[Block]:
        if self._fence:
            yield from self._fenced(line, number)
        elif found := _FENCE.fullmatch(line):
            yield from self.end()
            self._fence = found[1]
        elif found := _HEADING.match(line):
            yield from self.end()
            self._head(len(found[1]), _without_closing(line[found.end() :].strip()))
        elif self._lines and len(self._lines) <= 3 and (found := _UNDERLINE.fullmatch(line)):
            title = " ".join(text.strip() for text, _ in self._lines)
            self._lines.clear()
            self._head(1 if found[1][0] == "=" else 2, title)
        elif not line.strip() or _RULE.fullmatch(line):
            yield from self.end()
        else:
            if self._lines and _is_table(line) != _is_table(self._lines[-1][0]):
                yield from self.end()
            self._lines.append((line, number))

    def end(self) -> Iterator[Block]:
        """Yield the block that has come to its end."""
        preformatted = bool(self._fence) or (bool(self._lines) and _is_table(self._lines[0][0]))
        for text, number in self._lines:
            self._collected.add(f"{text if self._fence else _LINK.sub(_linked, text)}\n", number)
        self._lines.clear()
        yield from self._collected.take(tuple(title for _, title in self._headings), preformatted=preformatted)
        self._fence = ""

    def _fenced(self, line: str, number: int) -> Iterator[Block]:
        bare = line.strip()
        if len(bare) >= len(self._fence) and set(bare) == {self._fence[0]}:
            yield from self.end()
        else:
            self._lines.append((line, number))

    def _head(self, level: int, title: str) -> None:
        self._headings = [(own, text) for own, text in self._headings if own < level]
        shown = _LINK.sub(_linked, title).strip()
        if shown:
            self._headings.append((level, shown))


def _without_closing(title: str) -> str:
    """Return a title without the # marks that may close it."""
    bare = title.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else title


def _is_table(line: str) -> bool:
    return _TABLE.fullmatch(line) is not None


def _linked(found: re.Match[str]) -> str:
    """Return the words of a link: its address says nothing about the text."""
    return found[1]

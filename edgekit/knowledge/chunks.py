"""Cuts a document into chunks that an encoder reads whole: they end with a sentence and never cross a heading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from edgekit.knowledge.blocks import Block, lines
from edgekit.knowledge.sentences import sentences

Count = Callable[[str], int]
"""Tokens of a text, as the encoder counts them."""


@dataclass(frozen=True)
class Chunk:
    """A stretch of a document that is found as one."""

    text: str
    line: int
    """The line of the source that it begins on, counted from 1."""
    headings: tuple[str, ...]
    """The headings that it stands below, the outermost first."""

    @property
    def embedded(self) -> str:
        """What is embedded and searched for words: the text below its own heading, which may say what it is about."""
        return f"{self.headings[-1]}\n{self.text}" if self.headings else self.text


@dataclass(frozen=True)
class _Piece:
    text: str
    line: int
    tokens: int
    opens: bool
    """It is the first of its block."""
    before: str
    """What parts it from the piece before it."""


def cut(blocks: Iterable[Block], longest: int, count: Count) -> Iterator[Chunk]:
    """Yield the chunks of a document.

    Args:
        blocks: Its blocks in their order.
        longest: Tokens of a chunk at most, its own heading among them; a heading is never given more than half.
        count: Counts tokens.
    """
    for headings, section in groupby(blocks, key=lambda block: block.headings):
        room = longest - min(count(headings[-1]) if headings else 0, longest // 2)
        pieces = [piece for block in section for piece in _pieces(block, room, count)]
        for group in _packed(pieces, room):
            yield Chunk(_joined(group), group[0].line, headings)


def _packed(pieces: list[_Piece], room: int) -> Iterator[list[_Piece]]:
    """Yield groups of pieces that fit; a block that does not fit any more begins a new one where that wastes little."""
    group: list[_Piece] = []
    used = 0
    for place, piece in enumerate(pieces):
        full = used + piece.tokens > room
        if piece.opens and used > room // 2:
            full = used + _block_tokens(pieces, place) > room
        if group and full:
            yield group
            group, used = [], 0
        group.append(piece)
        used += piece.tokens
    if group:
        yield group


def _block_tokens(pieces: list[_Piece], place: int) -> int:
    total = pieces[place].tokens
    for piece in pieces[place + 1 :]:
        if piece.opens:
            break
        total += piece.tokens
    return total


def _pieces(block: Block, room: int, count: Count) -> Iterator[_Piece]:
    opens = True
    for start, stop in _lines(block.text) if block.preformatted else sentences(block.text):
        for first, last in _fitting(block.text, start, stop, room, count):
            own = block.text[first:last]
            text = own if block.preformatted else " ".join(own.split())
            if not text.strip():
                continue
            before = "\n" if opens or block.preformatted else " "
            yield _Piece(text, block.line_at(first), count(text), opens, before)
            opens = False


def _fitting(text: str, start: int, stop: int, room: int, count: Count) -> Iterator[tuple[int, int]]:
    """Yield a stretch in parts that fit: halved at a space near the middle, or in the middle of a word without end."""
    # No token has more characters than this; counting the tokens of megabytes again and again would take minutes.
    if stop - start <= 1 or (stop - start <= 32 * room and count(text[start:stop]) <= room):
        yield start, stop
        return
    middle = (start + stop) // 2
    space = text.rfind(" ", start + 1, middle)
    cut_at = space if space > start + (middle - start) // 2 else middle
    yield from _fitting(text, start, cut_at, room, count)
    yield from _fitting(text, cut_at, stop, room, count)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in lines(text):
        if line.strip():
            yield start, start + len(line.rstrip())
        start += len(line)


def _joined(group: list[_Piece]) -> str:
    return group[0].text + "".join(piece.before + piece.text for piece in group[1:])

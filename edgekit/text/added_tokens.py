"""Tokens that are found in a text before the model sees it, whatever the model would make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from edgekit.errors import EdgekitError
from edgekit.text.aligned import AlignedText
from edgekit.text.characters import WHITE_SPACE, characters
from edgekit.text.document import Section
from edgekit.text.models.base import Model
from edgekit.text.normalizers import Normalizer

_SPACES = frozenset(WHITE_SPACE)


@dataclass(frozen=True)
class AddedToken:
    """A token, and where in a text it counts."""

    content: str
    special: bool
    single_word: bool
    left_strip: bool
    right_strip: bool
    normalized: bool


class AddedTokens:
    """All added tokens of a tokenizer. Their ids come from the model or follow its own: the file's are not used."""

    def __init__(self, sections: Iterator[Section], model: Model, normalizer: Normalizer | None) -> None:
        self.ids: dict[str, int] = {}
        self.tokens: dict[int, AddedToken] = {}
        self.written: dict[int, str] = {}
        """How a token is written for the decoder: normalized where that changes it."""
        self._next = model.size
        for section in sections:
            self._add(_read(section), model, normalizer)
        self.special = {token.content for token in self.tokens.values() if token.special}
        self._plain = _Finder(self)
        self._normalized = _Finder(self)
        for number, token in self.tokens.items():
            (self._normalized if token.normalized else self._plain).add(self.written[number], number)

    def _add(self, token: AddedToken, model: Model, normalizer: Normalizer | None) -> None:
        if not token.content:
            return
        number = self.ids.get(token.content, model.ids.get(token.content))
        if number is None:
            number, self._next = self._next, self._next + 1
        written = token.content
        if token.normalized and normalizer is not None:
            text = AlignedText.of(token.content)
            normalizer(text)
            written = text.text
        self.ids[token.content] = number
        self.tokens[number] = token
        self.written[number] = written

    def cut(self, text: str, normalizer: Normalizer | None) -> Iterator[tuple[AlignedText, int | None]]:
        """Yield the parts of a text, normalized, with the id of those that are an added token."""
        for part, number in self._plain.cut(AlignedText.of(text)):
            if number is not None:
                yield part, number
                continue
            if normalizer is not None:
                normalizer(part)
            yield from self._normalized.cut(part)


def _read(section: Section) -> AddedToken:
    section.count("id")
    return AddedToken(
        content=section.text("content"),
        special=section.flag("special"),
        single_word=section.flag("single_word"),
        left_strip=section.flag("lstrip"),
        right_strip=section.flag("rstrip"),
        normalized=section.flag("normalized"),
    )


@dataclass
class _Finder:
    """Finds texts, the leftmost first and the longest of those that begin together."""

    added: AddedTokens
    ids: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)
    """By first character: the lengths of the texts, the longest first."""
    firsts: re.Pattern[str] | None = None

    def add(self, text: str, number: int) -> None:
        if not text or text in self.ids:
            return
        self.ids[text] = number
        lengths = self.lengths.setdefault(text[0], [])
        if len(text) not in lengths:
            lengths.append(len(text))
            lengths.sort(reverse=True)
        self.firsts = None

    def cut(self, text: AlignedText) -> Iterator[tuple[AlignedText, int | None]]:
        last = 0
        for start, stop, number in self._found(text.text):
            token = self.added.tokens[number]
            if token.single_word and not _is_apart(text.text, start, stop):
                continue
            while token.left_strip and start > last and text.text[start - 1] in _SPACES:
                start -= 1
            if token.left_strip and start < last:  # the token before took spaces that this one consists of
                start = last
            while token.right_strip and stop < len(text.text) and text.text[stop] in _SPACES:
                stop += 1
            if start > stop:
                raise EdgekitError(f"the tokenizer's added token {token.content!r:.40} overlaps with another one")
            if last < start:
                yield text.part(last, start), None
            if start < stop:
                yield text.part(start, stop), number
            last = stop
        if last < len(text.text):
            yield text.part(last, len(text.text)), None

    def _found(self, text: str) -> Iterator[tuple[int, int, int]]:
        if not self.ids:
            return
        if self.firsts is None:
            self.firsts = re.compile("[" + "".join(map(re.escape, self.lengths)) + "]")
        at = 0
        while (match := self.firsts.search(text, at)) is not None:
            start = match.start()
            for length in self.lengths[match.group()]:
                number = self.ids.get(text[start : start + length])
                if number is not None and start + length <= len(text):
                    yield start, start + length, number
                    at = start + length
                    break
            else:
                at = start + 1


def _is_apart(text: str, start: int, stop: int) -> bool:
    """Whether no letter or digit touches a span."""
    word = _word()
    before = start > 0 and word.match(text[start - 1]) is not None
    return not before and not (stop < len(text) and word.match(text[stop]) is not None)


@cache
def _word() -> re.Pattern[str]:
    return re.compile(characters("word_rust").pattern())

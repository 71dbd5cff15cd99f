"""A text that is changed step by step and knows, for each of its characters, where in the first text it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgekit.errors import EdgekitError

Change = tuple[str, int]
"""A character and what it does to those before it: 0 takes the place of one, 1 is put in behind the last one, and -n
takes the place of one and removes the n that follow."""


class AlignedText:
    """A text, or a part of one, with the characters [start, stop) of the original that each of its own stands for."""

    __slots__ = ("begin", "ends", "length", "starts", "text")

    def __init__(self, text: str, starts: Sequence[int], ends: Sequence[int], begin: int, length: int) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends
        self.begin = begin
        """Where in the original this part begins."""
        self.length = length
        """How many characters of the original it covers."""

    @classmethod
    def of(cls, text: str) -> AlignedText:
        """Return a text that nothing was done to yet."""
        return cls(text, range(len(text)), range(1, len(text) + 1), 0, len(text))

    def part(self, start: int, stop: int) -> AlignedText:
        """Return the characters start to stop, which are some."""
        starts, ends = self.starts[start:stop], self.ends[start:stop]
        return AlignedText(self.text[start:stop], starts, ends, starts[0], ends[-1] - starts[0])

    def map_to(self, text: str) -> None:
        """Put one character in the place of each."""
        if self.starts and self.starts[0] == self.ends[0]:
            self.transform((character, 0) for character in text)
        else:
            self.text = text

    def transform(self, changes: Iterable[Change], removed: int = 0) -> None:
        """Replace the text by what changes say, the first `removed` characters being removed.

        As `transform_range` of tokenizers' NormalizedString, and what it does to characters that stand for nothing.

        Raises:
            EdgekitError: the changes take the place of more characters than there are.
        """
        reach = self._reach()
        if reach is None:
            return
        first, last = reach
        at = first + removed
        characters: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for character, change in changes:
            if change > 0:
                start, end = (self.starts[at - 1], self.ends[at - 1]) if at else (self.begin, self.begin)
            elif at < len(self.starts):
                start, end = self.starts[at], self.ends[at]
                at = min(at + 1 - change, last)
            else:
                raise EdgekitError("the tokenizer's normalizer does not go with this text")
            characters.append(character)
            starts.append(start)
            ends.append(end)
        self.text = self.text[:first] + "".join(characters) + self.text[last:]
        self.starts = [*self.starts[:first], *starts, *self.starts[last:]]
        self.ends = [*self.ends[:first], *ends, *self.ends[last:]]

    def _reach(self) -> tuple[int, int] | None:
        """Return the characters that a transformation reaches: not those in front that stand for nothing.

        None where there are no characters. Of a part that stands for nothing it reaches none: new ones come in front.
        """
        if self.length == 0:
            return 0, 0
        for index, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            if start != end:
                return index, len(self.starts)
        return (len(self.starts), len(self.starts)) if self.text else None

    def keep(self, places: Sequence[int]) -> None:
        """Keep the characters at some places and remove all others."""
        text = self.text
        changes: list[Change] = []
        for place, after in zip(places, [*places, len(text)][1:], strict=True):
            changes.append((text[place], place + 1 - after))
        self.transform(changes, places[0] if places else 0)

    def prepend(self, text: str) -> None:
        """Put a text in front, which stands for what the first character does."""
        if not self.text:
            return
        start, end = (self.starts[0], self.ends[0]) if text else (self.begin, self.begin)
        more = len(text)
        self.text = text + self.text
        self.starts = [*([self.starts[0]] * more), start, *self.starts[1:]]
        self.ends = [*([self.ends[0]] * more), end, *self.ends[1:]]

    def replace(self, spans: Iterable[tuple[int, int]], content: str) -> None:
        """Replace spans by a text, all of which stands for the last character of each span."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        last = 0
        for start, stop in spans:
            pieces += (self.text[last:start], content)
            starts += self.starts[last:start]
            ends += self.ends[last:start]
            where = (self.starts[stop - 1], self.ends[stop - 1]) if stop else (self.begin, self.begin)
            starts += [where[0]] * len(content)
            ends += [where[1]] * len(content)
            last = stop
        if not pieces:
            return
        self.text = "".join(pieces) + self.text[last:]
        self.starts = [*starts, *self.starts[last:]]
        self.ends = [*ends, *self.ends[last:]]

"""The tokens of a text, on their way from the model through the post-processor."""

from __future__ import annotations

from dataclasses import dataclass, field

Offsets = tuple[int, int]


@dataclass
class Encoding:
    """Lists of the same length, an entry for each token."""

    ids: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    """How each is written."""
    offsets: list[Offsets] = field(default_factory=list)
    words: list[int | None] = field(default_factory=list)
    special: list[bool] = field(default_factory=list)
    """Whether the post-processor added it."""

    def add(self, other: Encoding) -> None:
        """Put another one behind this one."""
        self.ids += other.ids
        self.tokens += other.tokens
        self.offsets += other.offsets
        self.words += other.words
        self.special += other.special

    @classmethod
    def of_special(cls, ids: list[int], tokens: list[str]) -> Encoding:
        """Return tokens that stand for nothing in the text."""
        count = len(ids)
        return cls(list(ids), list(tokens), [(0, 0)] * count, [None] * count, [True] * count)

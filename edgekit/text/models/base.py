"""What a model is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from edgekit.errors import EdgekitError

Pieces = list[tuple[int, str, int, int]]
"""Tokens of a word: the id, how it is written, and the first and the last of the word's characters that it has."""

CACHED_WORDS = 10_000
CACHED_LENGTH = 256
"""Longer words hardly come a second time."""


class Model(ABC):
    """Turns words into tokens, and remembers those it has seen."""

    def __init__(self, ids: dict[str, int]) -> None:
        self.ids = ids
        """The id of each token."""
        self.tokens = {number: token for token, number in ids.items()}
        """How each id is written."""
        self._seen: dict[str, Pieces] = {}

    @property
    def size(self) -> int:
        """The number of tokens."""
        return len(self.ids)

    def tokenize(self, word: str) -> Pieces:
        """Return the tokens of a word, which has at least one character."""
        pieces = self._seen.get(word)
        if pieces is None:
            pieces = self._tokenize(word)
            if len(word) < CACHED_LENGTH:
                if len(self._seen) >= CACHED_WORDS:
                    self._seen.clear()
                self._seen[word] = pieces
        return pieces

    @abstractmethod
    def _tokenize(self, word: str) -> Pieces: ...


def no_unknown(word: str) -> EdgekitError:
    """Return the error for a word of a model that has no token for unknown ones."""
    return EdgekitError(
        f"the tokenizer has no token for {word!r:.60}, nor one for what is unknown", "leave that out of the text"
    )

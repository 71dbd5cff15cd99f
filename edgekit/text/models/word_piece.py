"""BERT's word pieces: the longest token that a word begins with, again and again."""

from __future__ import annotations

from edgekit.text.document import Section, vocabulary
from edgekit.text.models.base import Model, Pieces, no_unknown


class WordPiece(Model):
    """The model `WordPiece`. A word of which some part is no token is unknown as a whole."""

    def __init__(self, section: Section) -> None:
        super().__init__(vocabulary(section))
        self._unknown = section.text("unk_token")
        self._prefix = section.text("continuing_subword_prefix")
        self._longest_word = section.count("max_input_chars_per_word")
        # No token is longer, so nothing longer is looked for.
        self._longest_token = max(map(len, self.ids), default=0)

    def _tokenize(self, word: str) -> Pieces:
        pieces = self._pieces(word) if len(word) <= self._longest_word else []
        if pieces:
            return pieces
        if self._unknown not in self.ids:
            raise no_unknown(word)
        return [(self.ids[self._unknown], self._unknown, 0, len(word) - 1)]

    def _pieces(self, word: str) -> Pieces:
        """Return the pieces of a word, none where it is unknown."""
        pieces: Pieces = []
        start = 0
        while start < len(word):
            prefix = self._prefix if start else ""
            for stop in range(min(len(word), start + self._longest_token), start, -1):
                token = prefix + word[start:stop]
                number = self.ids.get(token)
                if number is not None:
                    pieces.append((number, token, start, stop - 1))
                    start = stop
                    break
            else:
                return []
        return pieces

"""Whole words: each is a token or unknown."""

from __future__ import annotations

from edgekit.text.document import Section, vocabulary
from edgekit.text.models.base import Model, Pieces, no_unknown


class WordLevel(Model):
    """The model `WordLevel`."""

    def __init__(self, section: Section) -> None:
        super().__init__(vocabulary(section))
        self._unknown = section.text("unk_token")

    def _tokenize(self, word: str) -> Pieces:
        token = word if word in self.ids else self._unknown
        if token not in self.ids:
            raise no_unknown(word)
        return [(self.ids[token], token, 0, len(word) - 1)]

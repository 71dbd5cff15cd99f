"""Sentencepiece's unigram model: of all ways to cut a word into tokens, the one whose scores sum up highest."""

from __future__ import annotations

from edgekit.strict_json import show
from edgekit.text.document import Section
from edgekit.text.models.base import Model, Pieces, no_unknown

_UNKNOWN_PENALTY = 10.0
"""How much worse than the worst token an unknown character is."""


class Unigram(Model):
    """The model `Unigram`: a token's id is its place in `vocab`."""

    def __init__(self, section: Section) -> None:
        super().__init__({})
        self._scores: dict[str, float] = {}
        for number, pair in enumerate(section.get("vocab", list)):
            if not (
                isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is str and type(pair[1]) in (int, float)
            ):
                section.refuse(f"vocab[{number}]", f"is {show(pair)}, expected a token and its score")
            self.ids[pair[0]] = number
            self.tokens[number] = pair[0]
            self._scores[pair[0]] = float(pair[1])
        section.check_text("vocab", "".join(self.ids))
        self._unknown: int | None = section.get("unk_id", int, None)
        if self._unknown is not None and not 0 <= self._unknown < len(self.tokens):
            section.refuse("unk_id", f"is {self._unknown}, of {len(self.tokens)} tokens")
        self._byte_fallback = section.flag("byte_fallback", False)
        self._unknown_score = min(self._scores.values(), default=float("inf")) - _UNKNOWN_PENALTY
        lengths: dict[str, set[int]] = {}
        for token in self.ids:
            if token:
                lengths.setdefault(token[0], set()).add(len(token))
        self._lengths = {first: sorted(found) for first, found in lengths.items()}

    @property
    def size(self) -> int:
        """The number of tokens, those that are there twice counted twice."""
        return len(self.tokens)

    def _tokenize(self, word: str) -> Pieces:
        pieces: Pieces = []
        for start, stop in self._best_cuts(word):
            piece = word[start:stop]
            number = self.ids.get(piece)
            raw = None if number is not None or not self._byte_fallback else self._bytes(piece)
            if raw is not None:
                pieces += [(byte, token, start, stop - 1) for byte, token in raw]
                continue
            if number is None:
                number = self._unknown
            if number is None:
                raise no_unknown(piece)
            pieces.append((number, piece, start, stop - 1))
        return pieces

    def _best_cuts(self, word: str) -> list[tuple[int, int]]:
        """Return the spans of the best way (Viterbi's algorithm); unknown characters in a row are one span."""
        length = len(word)
        scores = [0.0] * (length + 1)
        begins = [-1] * (length + 1)
        unknown = [False] * (length + 1)
        for start in range(length):
            so_far, single = scores[start], False
            for size in self._lengths.get(word[start], ()):
                stop = start + size
                if stop > length:
                    break
                score = self._scores.get(word[start:stop])
                if score is None:
                    continue
                single = single or size == 1
                if begins[stop] < 0 or so_far + score > scores[stop]:
                    scores[stop], begins[stop] = so_far + score, start
                    unknown[stop] = self.ids[word[start:stop]] == self._unknown
            if not single:
                score = so_far + self._unknown_score
                if begins[start + 1] < 0 or score > scores[start + 1]:
                    if self._unknown is None:
                        raise no_unknown(word[start])
                    scores[start + 1], begins[start + 1], unknown[start + 1] = score, start, True
        return _backwards(begins, unknown)

    def _bytes(self, piece: str) -> list[tuple[int, str]] | None:
        """Return the tokens of a piece's bytes, None where one is missing."""
        tokens = [f"<0x{byte:02X}>" for byte in piece.encode()]
        return [(self.ids[token], token) for token in tokens] if all(token in self.ids for token in tokens) else None


def _backwards(begins: list[int], unknown: list[bool]) -> list[tuple[int, int]]:
    cuts: list[tuple[int, int]] = []
    stop, open_end = len(begins) - 1, False
    while stop > 0:
        if unknown[stop] and open_end:
            cuts[-1] = (begins[stop], cuts[-1][1])
        else:
            cuts.append((begins[stop], stop))
        open_end, stop = unknown[stop], begins[stop]
    return cuts[::-1]

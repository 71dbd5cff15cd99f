"""Byte-pair encoding: of a word's neighbours, the two whose merge was learned first become one, again and again."""

from __future__ import annotations

import heapq
from itertools import pairwise

from edgekit.strict_json import show
from edgekit.text.document import Section, vocabulary
from edgekit.text.models.base import Model, Pieces, no_unknown

Pair = tuple[int, int]
Symbol = tuple[int, int]
"""A token's id and its length in bytes."""


class BytePairs(Model):
    """The model `BPE`, in all its kinds: GPT-2's bytes, Llama's and Gemma's with byte fallback, CLIP's word ends."""

    def __init__(self, section: Section) -> None:
        super().__init__(vocabulary(section))
        self._prefix = section.optional_text("continuing_subword_prefix") or ""
        self._suffix = section.optional_text("end_of_word_suffix") or ""
        self._byte_fallback = section.flag("byte_fallback", False)
        self._fuse_unknown = section.flag("fuse_unk", False)
        self._ignore_merges = section.flag("ignore_merges", False)
        unknown = section.optional_text("unk_token")
        self._unknown = None if unknown is None else self.ids.get(unknown)
        self._drops_unknown = unknown is None
        if section.data.get("dropout") not in (None, 0):
            section.unsupported("dropout, which merges by chance,")
        if self._byte_fallback and (self._prefix or self._suffix):
            section.unsupported("byte_fallback together with a prefix or suffix")
        self._merges = _merges(section, self.ids, len(self._prefix))
        self._bytes = [self.ids.get(f"<0x{byte:02X}>") for byte in range(256)]

    def _tokenize(self, word: str) -> Pieces:
        if self._ignore_merges and word in self.ids:
            return [(self.ids[word], word, 0, len(word) - 1)]
        symbols = merge(self._symbols(word), self._merges)
        at, pieces = 0, []
        # Offsets are counted in bytes, which matters where characters were left out: nothing marks the gap.
        places = range(len(word)) if word.isascii() else [k for k, c in enumerate(word) for _ in range(len(c.encode()))]
        for number, length in symbols:
            pieces.append((number, self.tokens[number], places[at], places[at + length - 1]))
            at += length
        return pieces

    def _symbols(self, word: str) -> list[Symbol]:
        """Return what a word is made of before anything is merged."""
        symbols: list[Symbol] = []
        unknown = 0  # bytes of the unknown token that is not written yet
        last = len(word) - 1
        for index, character in enumerate(word):
            length = 1 if character < "\x80" else len(character.encode())
            text = (self._prefix if index else "") + character + (self._suffix if index == last else "")
            number = self.ids.get(text)
            if number is None and self._byte_fallback:
                raw = [self._bytes[byte] for byte in character.encode()]
                if None not in raw:
                    # An unknown token that is still open comes after them: so it is in tokenizers.
                    symbols += [(byte, 1) for byte in raw if byte is not None]
                    continue
            if number is None and self._drops_unknown:
                continue
            if unknown and (number is not None or not self._fuse_unknown):
                symbols.append((self._unknown_id(word), unknown))
                unknown = 0
            if number is None:
                unknown += length
            else:
                symbols.append((number, length))
        if unknown:
            symbols.append((self._unknown_id(word), unknown))
        return symbols

    def _unknown_id(self, word: str) -> int:
        if self._unknown is None:
            raise no_unknown(word)
        return self._unknown


def merge(symbols: list[Symbol], merges: dict[Pair, Pair]) -> list[Symbol]:
    """Return symbols after all merges: the one of the lowest rank first, of equal ones the leftmost.

    Args:
        symbols: Ids and lengths.
        merges: The rank and the new id of each pair of ids.
    """
    ids = [number for number, _ in symbols]
    lengths = [length for _, length in symbols]
    before = list(range(-1, len(ids) - 1))
    after = [*range(1, len(ids)), -1]
    queue = [(*found, at) for at, pair in enumerate(pairwise(ids)) if (found := merges.get(pair))]
    heapq.heapify(queue)
    while queue:
        _, new, left = heapq.heappop(queue)
        right = after[left]
        if lengths[left] == 0 or right < 0:
            continue
        now = merges.get((ids[left], ids[right]))
        if now is None or now[1] != new:  # one of the two has merged with another since
            continue
        ids[left] = new
        lengths[left] += lengths[right]
        lengths[right] = 0
        following = after[left] = after[right]
        if following >= 0:
            before[following] = left
            if found := merges.get((new, ids[following])):
                heapq.heappush(queue, (*found, left))
        previous = before[left]
        if previous >= 0 and (found := merges.get((ids[previous], new))):
            heapq.heappush(queue, (*found, previous))
    return [(number, length) for number, length in zip(ids, lengths, strict=True) if length]


def _merges(section: Section, ids: dict[str, int], prefix: int) -> dict[Pair, Pair]:
    found: dict[Pair, Pair] = {}
    listed = section.get("merges", list)
    rank = 0
    for entry in listed:
        if isinstance(entry, str) and entry.startswith("#version"):
            continue
        parts = entry.split(" ") if isinstance(entry, str) else entry
        if not (isinstance(parts, list) and len(parts) == 2 and all(type(part) is str for part in parts)):
            section.refuse("merges", f"has {show(entry)}, expected two tokens")
        first, second = parts
        if prefix and not second.startswith(section.text("continuing_subword_prefix")):
            section.refuse("merges", f"has {show(entry)}, whose second part does not go with continuing_subword_prefix")
        for token in (first, second, first + second[prefix:]):
            if token not in ids:
                section.refuse("merges", f"has {show(entry)}, and {show(token)} is not in the vocabulary")
        found[ids[first], ids[second]] = (rank, ids[first + second[prefix:]])
        rank += 1
    return found

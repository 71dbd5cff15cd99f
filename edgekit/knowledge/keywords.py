"""Words of texts, and how well they fit a question by BM25 (Robertson and Zaragoza 2009).

SQLite's FTS5 holds which chunk has which word; what a word is, and what it is worth, is said here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STEM = 5
"""Letters of a word that count, without the s of a plural. Cut so short, "renewal" is found for "renewed" in any
language that puts endings to words, about as well as by rules for each (McNamee, Nicholas and Mayfield, SIGIR 2009)."""
K1, B = 1.2, 0.75

# Words that ask, and say nothing about what is asked. Other languages' fade by being frequent.
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about am an and any are as at be been but by can could did do does doing don for from had has have
        he her here him his how i if in into is it its just may me more most must my need no not of
        on one or our out own please shall she should so some such than that the their them there
        these they this those to too up us was we were what when where which who whom why will with
        would you your""",
    )
)
_WORD = re.compile(r"[^\W_]+")
# Scripts that do not part words: pairs of neighbouring characters stand for them.
_UNPARTED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: without case, accents, and all but their first letters."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    found: list[str] = []
    for word in _WORD.findall(plain):
        if _UNPARTED.search(word):
            found += _pairs(word)
        else:
            found.append(_stem(word))
    return found


def _stem(word: str) -> str:
    if not word.isalpha():
        return word[:64]
    plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    return (word[:-1] if plural else word)[:STEM]


def content(text: str) -> list[str]:
    """Return the words of a text that say what it is about, each once."""
    kept = [word for word in _WORD.findall(text.casefold()) if word not in _FUNCTION_WORDS]
    return list(dict.fromkeys(words(" ".join(kept))))


def asked(question: str) -> list[str]:
    """Return the words that a question asks for: all of them, where none says what it is about."""
    return content(question) or list(dict.fromkeys(words(question)))


def _pairs(word: str) -> Iterable[str]:
    last = 0
    for run in _UNPARTED.finditer(word):
        yield from map(_stem, filter(None, [word[last : run.start()]]))
        own = run[0]
        yield from (own[at : at + 2] for at in range(max(1, len(own) - 1)))
        last = run.end()
    yield from map(_stem, filter(None, [word[last:]]))


@dataclass(frozen=True)
class Statistics:
    """What BM25 must know of all chunks."""

    chunks: int
    words: int
    """In all of them."""
    frequency: Mapping[str, int]
    """In how many chunks a word is."""

    def weight(self, word: str) -> float:
        """Return what a word is worth: the rarer, the more; nearly nothing where half of the chunks have it."""
        count = self.frequency.get(word, 0)
        return max(math.log((self.chunks - count + 0.5) / (count + 0.5)), 1e-6)

    def score(self, question: Iterable[str], chunk: Iterable[str]) -> float:
        """Return BM25 as a share, 0 to 1, of what a chunk of usual length has with each word of the question once.

        A word of the question that no chunk has lowers the share of all.
        """
        weights = {word: self.weight(word) for word in question}
        whole = sum(weights.values())
        if not whole:
            return 0.0
        counts = Counter(chunk)
        usual = self.words / max(self.chunks, 1) or 1.0
        length = K1 * (1 - B + B * counts.total() / usual)
        total = sum(weight * counts[word] * (K1 + 1) / (counts[word] + length) for word, weight in weights.items())
        return min(1.0, total / whole)

"""Holds an answer to the passages that it was made from: what none of them says is no part of it.

Words are compared, not meanings. What is found are sentences about something else, numbers that stand nowhere, and in
English denials of what nothing denies; a sentence that puts a passage's own words together wrongly is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.knowledge.keywords import content
from edgekit.knowledge.keywords import words as words_of
from edgekit.knowledge.sentences import sentences

SUPPORTED = 0.8
"""Share of a sentence's words, weighed by the root of their length, that one passage must have."""
_DENIAL = re.compile(r"\b(?:no|not|never|cannot|nothing|nobody|without)\b|n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True)
class Grounded:
    """What of an answer is grounded."""

    text: str
    """Its sentences that a passage supports, "" where none does."""
    sources: tuple[int, ...]
    """The passages that support them, the most relevant first."""


@dataclass(frozen=True)
class Given:
    """A passage that a model was given."""

    heading: str
    text: str


def ground(answer: str, passages: Sequence[Given], question: str) -> Grounded:
    """Return the sentences of an answer that one of the passages supports.

    Args:
        answer: What a model said.
        passages: What it was given, the most relevant first; where several support a sentence, it is from the first.
        question: Its words, and those of headings, may be said again, but a sentence needs others too.
    """
    sources = [_Source(passage) for passage in passages]
    repeated = set(words_of(question))
    kept: list[str] = []
    used: set[int] = set()
    for start, stop in sentences(answer):
        sentence = answer[start:stop]
        if sentence.endswith("?") or sentence in kept:
            continue
        own = content(sentence)
        shares = (source.share(sentence, own, repeated) for source in sources)
        found = next((place for place, share in enumerate(shares) if share >= SUPPORTED), None)
        if found is not None:
            kept.append(sentence)
            used.add(found)
    return Grounded(" ".join(kept), tuple(sorted(used)))


class _Source:
    def __init__(self, given: Given) -> None:
        self._heading, self._body = set(words_of(given.heading)), set(words_of(given.text))
        self._denies = _DENIAL.search(f"{given.heading} {given.text}") is not None

    def share(self, sentence: str, own: Sequence[str], repeated: set[str]) -> float:
        """Return how much of a sentence stands here: 0 where it says nothing new, or a number or denial does not."""
        known = self._heading | self._body
        if not any(word in self._body and word not in repeated | self._heading for word in own):
            return 0.0
        if any(not word.isalpha() and word not in known for word in own):
            return 0.0
        if not self._denies and _DENIAL.search(sentence):
            return 0.0
        weights = {word: math.sqrt(len(word)) for word in own if word not in repeated or word in known}
        return sum(weight for word, weight in weights.items() if word in known) / sum(weights.values())

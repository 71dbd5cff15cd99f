"""NFC, NFD, NFKC and NFKD with the changes they make, as the crate unicode-normalization-alignments has them.

It knows Unicode 9. What a character decomposes into and where it is sorted never changes once it is there, so this
Python's own tables serve, for the characters that the crate knows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal

from edgekit.text.aligned import Change
from edgekit.text.characters import characters

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def changes_of(form: Form, text: str) -> list[Change] | None:
    """Return the changes that bring a text into a form, None where there are none."""
    if text.isascii() or unicodedata.is_normalized(form, text):
        return None
    decomposed = list(_decomposed(text, form[2:] == "KD" or form[2:] == "KC"))
    return list(_composed(decomposed)) if form.endswith("C") else decomposed


@cache
def _decompositions(compatible: bool) -> dict[str, str]:
    form: Form = "NFKD" if compatible else "NFD"
    return {character: unicodedata.normalize(form, character) for character in characters(form.lower())}


@cache
def _classes() -> dict[str, int]:
    """Return the combining classes that are not 0."""
    return {character: unicodedata.combining(character) for character in characters("reordered")}


def _decomposed(text: str, compatible: bool) -> Iterator[Change]:
    parts, classes = _decompositions(compatible), _classes()
    pending: list[tuple[int, str, int]] = []
    for whole in text:
        for index, character in enumerate(parts.get(whole, whole)):
            order = classes.get(character, 0)
            if order == 0:
                pending.sort(key=_order)
                yield from ((character, change) for _, character, change in pending)
                pending.clear()
            pending.append((order, character, min(index, 1)))
    pending.sort(key=_order)
    yield from ((character, change) for _, character, change in pending)


def _order(item: tuple[int, str, int]) -> int:
    return item[0]


def _composed(decomposed: list[Change]) -> Iterator[Change]:
    """Yield a decomposed text with marks joined to the character in front of them, where there is one of both."""
    classes = _classes()
    base: Change | None = None
    waiting: list[Change] = []
    last: int | None = None
    for character, change in decomposed:
        order = classes.get(character, 0)
        if base is None:
            if order:
                yield character, change
            else:
                base = character, change
            continue
        # A mark behind one of the same or a higher class is cut off from the base.
        joined = _compose(base[0], character) if last is None or last < order else None
        if joined is not None:
            base = joined, base[1] + change - 1
        elif order:
            waiting.append((character, change))
            last = order
        else:
            yield base
            yield from waiting
            waiting.clear()
            base, last = (character, change), None
    if base is not None:
        yield base
    yield from waiting


def _compose(first: str, second: str) -> str | None:
    both = unicodedata.normalize("NFC", first + second)
    # Characters that came after Unicode 9 are not known to compose.
    return both if len(both) == 1 and (both in _decompositions(compatible=False)) else None

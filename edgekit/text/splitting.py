"""Cuts a text where an expression matches, in the five ways that tokenizers have for what matched."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edgekit.text.aligned import AlignedText

Span = tuple[int, int]
Marked = tuple[int, int, bool]
"""A span, and whether it is a match."""


def _isolated(marked: list[Marked]) -> list[Span]:
    return [(start, stop) for start, stop, _ in marked]


def _removed(marked: list[Marked]) -> list[Span]:
    return [(start, stop) for start, stop, match in marked if not match]


def _contiguous(marked: list[Marked]) -> list[Span]:
    return _joined(marked, lambda match, previous: match == previous)


def _with_previous(marked: list[Marked]) -> list[Span]:
    return _joined(marked, lambda match, previous: match and not previous)


def _with_next(marked: list[Marked]) -> list[Span]:
    mirrored = [(-stop, -start, match) for start, stop, match in reversed(marked)]
    return [(-stop, -start) for start, stop in reversed(_with_previous(mirrored))]


def _joined(marked: list[Marked], joins: Callable[[bool, bool], bool]) -> list[Span]:
    found: list[Span] = []
    previous = False
    for start, stop, match in marked:
        if found and joins(match, previous):
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
        previous = match
    return found


BEHAVIORS: dict[str, Callable[[list[Marked]], list[Span]]] = {
    "Isolated": _isolated,
    "Removed": _removed,
    "Contiguous": _contiguous,
    "MergedWithPrevious": _with_previous,
    "MergedWithNext": _with_next,
}


def split(text: AlignedText, matches: Iterable[Span], behavior: str, *, invert: bool = False) -> list[AlignedText]:
    """Return the parts of a text, those without characters left out.

    Args:
        text: The text.
        matches: The spans that match, one after the other.
        behavior: What becomes of them: a key of `BEHAVIORS`.
        invert: Take what lies between the matches as the matches.
    """
    marked: list[Marked] = []
    last = 0
    for start, stop in matches:
        if last < start:
            marked.append((last, start, invert))
        marked.append((start, stop, not invert))
        last = stop
    if last < len(text.text):
        marked.append((last, len(text.text), invert))
    return [text.part(start, stop) for start, stop in BEHAVIORS[behavior](marked) if start < stop]

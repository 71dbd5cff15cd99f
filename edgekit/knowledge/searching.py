"""Finds the passages that fit a question, by meaning and by words.

The two are merged as a weighted sum, not by reciprocal rank fusion: a rank says nothing about how near the best passage
is, so that no threshold could decline a question; and with short texts, where the words of a question often meet by
chance, fused ranks put the right passage first less often (docs/knowledge.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.errors import KnowledgeError
from edgekit.knowledge.contents import Contents, Snapshot
from edgekit.knowledge.keywords import Statistics, asked
from edgekit.knowledge.nearest import Float32, nearest
from edgekit.knowledge.store import Stored
from edgekit.knowledge.vectors import AGAIN

KEYWORD_WEIGHT = 0.2
"""What a passage that has all words of the question gains over one that has none, in units of cosine similarity."""
CANDIDATES = 50
"""Passages taken from each side, at least."""


@dataclass(frozen=True)
class Passage:
    """A chunk that was found, and how well it fits."""

    source: str
    """The name of its document."""
    line: int
    """The line of the document that it begins on, counted from 1."""
    headings: tuple[str, ...]
    """The headings that it stands below, the outermost first."""
    text: str
    score: float
    """`similarity` + 0.2 `keywords`."""
    similarity: float
    """Of question and passage: the cosine of the angle between their vectors."""
    keywords: float
    """BM25 as a share: 0 where the passage has no word of the question, 1 where it has all."""


def find(contents: Contents, query: str, vector: Float32, limit: int) -> list[Passage]:
    """Return the passages that fit a query best, the best first.

    Args:
        contents: What to search.
        query: Its text.
        vector: Its vector, float32 [width], of length 1.
        limit: Passages at most.
    """
    stems = asked(query)
    with contents.snapshot() as found:
        statistics = contents.store.statistics(stems, found.state, found.chunks)
        stored = _candidates(contents, found, stems, statistics, vector, max(CANDIDATES, 4 * limit))
        passages = [_passage(found, each, stems, statistics, vector) for each in stored]
    passages.sort(key=lambda passage: (-passage.score, passage.source, passage.line))
    return passages[:limit]


def _candidates(
    contents: Contents, found: Snapshot, stems: list[str], statistics: Statistics, vector: Float32, count: int
) -> list[Stored]:
    rows, _ = nearest(found.vectors, found.removed, vector, count, found.index)
    near = contents.store.by_row(rows.tolist())
    known = {each.id for each in near}
    others = [chunk for chunk in contents.store.with_words(stems, count, statistics) if chunk not in known]
    return near + contents.store.by_id(others)


def _passage(found: Snapshot, each: Stored, stems: list[str], statistics: Statistics, vector: Float32) -> Passage:
    if not 0 <= each.row < len(found.vectors):
        raise KnowledgeError(f"the chunk {each.id} of {each.source!r:.80} has no vector: it is damaged", AGAIN)
    similarity = float(found.vectors[each.row] @ vector)
    keywords = statistics.score(stems, each.stems)
    chunk = each.chunk
    score = similarity + KEYWORD_WEIGHT * keywords
    return Passage(each.source, chunk.line, chunk.headings, chunk.text, score, similarity, keywords)

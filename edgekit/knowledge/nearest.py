"""Finds the rows that are nearest to a vector: by looking at every one, or with Faiss where there are many.

Whichever finds them, similarities are computed here from the vectors themselves, and rows that no index knows yet are
looked at one by one. So both give the same results but for what an index overlooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

Candidates = Callable[[Float32, int], Int64]
"""Given a vector [width] and a number, returns about so many rows that may be the nearest."""
OVERSAMPLED = 4
"""Candidates for each row wanted: an index compares rounded vectors."""


@dataclass(frozen=True)
class Index:
    """An index over the first rows of the vectors."""

    rows: int
    candidates: Candidates


def nearest(
    vectors: Float32, removed: Int64, query: Float32, count: int, index: Index | None = None
) -> tuple[Int64, Float32]:
    """Return the nearest rows, the nearest first, and their cosine similarities.

    Args:
        vectors: float32 [n, width], each of length 1.
        removed: Rows that do not count.
        query: float32 [width], of length 1.
        count: Rows wanted; fewer where there are fewer.
        index: Spares looking at the rows that it knows.
    """
    if index is None:
        return _best(np.arange(len(vectors)), vectors @ query, removed, count)
    found = index.candidates(query, OVERSAMPLED * count + min(len(removed), OVERSAMPLED * count))
    similarities = np.concatenate([vectors[found] @ query, vectors[index.rows :] @ query])
    rows = np.concatenate([found, np.arange(index.rows, len(vectors))])
    return _best(rows, similarities, removed, count)


def _best(rows: Int64, similarities: Float32, removed: Int64, count: int) -> tuple[Int64, Float32]:
    if len(removed):
        similarities = np.where(np.isin(rows, removed), np.float32(-np.inf), similarities)
    if len(rows) > count:
        kept = np.argpartition(-similarities, count - 1)[:count]
        rows, similarities = rows[kept], similarities[kept]
    order = np.lexsort((rows, -similarities))
    order = order[np.isfinite(similarities[order])]
    return rows[order], similarities[order]

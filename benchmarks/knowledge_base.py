"""A knowledge base of 100,000 chunks to be searched, made of Banking77's questions in minutes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from setting import shared

from edgekit.knowledge import KnowledgeBase
from edgekit.knowledge.chunks import Chunk
from edgekit.knowledge.contents import Entry
from edgekit.knowledge.nearest import Float32
from edgekit.model import Model

CHUNKS = 100_000
QUERIES = 300
_DOCUMENT = 5000
_NOISE = 0.02


@dataclass(frozen=True)
class Large:
    """The knowledge base, what to look for, and the vectors of that."""

    base: KnowledgeBase
    queries: list[str]
    vectors: Float32
    """float32 [queries, width]."""


def large(folder: Path, model: Model, count: int = CHUNKS, queries: int = QUERIES) -> Large:
    """Make a knowledge base whose vectors lie as those of texts do, and questions that none of them is.

    The first 10,003 chunks are Banking77's training questions. The others mix two of them: text by text, and vector by
    vector with a little noise, since embedding 100,000 texts would take an hour on a small machine.
    """
    texts, asked = _banking77("train"), _banking77("test")[:queries]
    vectors = model.embed(texts[:count])
    random = np.random.default_rng(7)
    base = KnowledgeBase.create(folder, model)
    for start in range(0, count, _DOCUMENT):
        number = min(_DOCUMENT, count - start)
        own = range(start, min(start + number, len(vectors)))
        made, rows = [texts[at] for at in own], [vectors[own.start : own.stop]]
        if len(made) < number:
            mixed = _mixed(texts[: len(vectors)], vectors, number - len(made), random)
            made += mixed[0]
            rows.append(mixed[1])
        chunks = [Chunk(text, line, ()) for line, text in enumerate(made, 1)]
        entry = Entry(f"part{start:06}", f"{start:064x}", chunks, np.concatenate(rows).astype(np.float32))
        base._contents.commit([entry])
    return Large(base, asked, model.embed(asked))


def _mixed(texts: list[str], vectors: Float32, count: int, random: np.random.Generator) -> tuple[list[str], Float32]:
    first, second = random.integers(len(texts), size=(2, count))
    share = random.uniform(0.5, 1.0, (count, 1))
    rows = share * vectors[first] + (1 - share) * vectors[second]
    rows += random.standard_normal(rows.shape) * _NOISE
    made = [f"{texts[one]} {texts[other]}" for one, other in zip(first, second, strict=True)]
    return made, (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _banking77(name: str) -> list[str]:
    with (shared() / "data" / "banking77" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]

"""Documents whose vectors follow from their names, so that whoever finds one knows what it must be."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from edgekit.knowledge.chunks import Chunk
from edgekit.knowledge.contents import Contents, Entry, Snapshot
from edgekit.knowledge.nearest import Float32
from edgekit.knowledge.store import Base

WIDTH = 16
BASE = Base(identity="0" * 32, encoder="f" * 64, width=WIDTH, longest=50, threshold=0.5)


def make(folder: Path) -> Contents:
    """Make an empty folder and open it."""
    folder.mkdir(parents=True, exist_ok=True)
    Contents.create(folder, BASE)
    return Contents.open(folder)


def entry(name: str, version: int = 1, chunks: int | None = None) -> Entry:
    """Return a document of one to seven chunks, or of so many."""
    count = zlib.crc32(f"{name} {version}".encode()) % 7 + 1 if chunks is None else chunks
    texts = [f"{name} version{version} part{number} of {count} about w{number % 5}" for number in range(count)]
    made = [Chunk(text, number + 1, (name, f"part{number}")) for number, text in enumerate(texts)]
    return Entry(name, f"{version:064x}", made, vectors(texts))


def vectors(texts: list[str]) -> Float32:
    """Return the vectors of texts, float32 [n, width]."""
    seeds = [zlib.crc32(text.encode()) for text in texts]
    rows = np.asarray([np.random.default_rng(seed).standard_normal(WIDTH) for seed in seeds], np.float32)
    rows = rows.reshape(len(texts), WIDTH)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-9))


def held(contents: Contents) -> dict[str, int]:
    """Return the version of each document, having checked that every one is whole and everything agrees."""
    with contents.snapshot() as found:
        store = contents.store
        counts = store.chunk_counts()
        removed = set(found.removed.tolist())
        rows = [row for row in range(len(found.vectors)) if row not in removed]
        stored = store.by_row(rows)
        assert len(stored) == len(rows) == sum(counts.values()) == found.chunks
        assert found.state.words == sum(len(each.stems) for each in stored)
        versions: dict[str, int] = {}
        for name, count in counts.items():
            own = sorted((each for each in stored if each.source == name), key=lambda each: each.chunk.line)
            versions[name] = int(store.sha256_of(name) or "", 16)
            whole = entry(name, versions[name], count)
            assert [each.chunk for each in own] == list(whole.chunks)
            np.testing.assert_array_equal(found.vectors[[each.row for each in own]], whole.vectors)
            # Each word leads to it: FTS5 has the chunk, and none that is gone.
            assert {each.id for each in own} == set(found_by_name(contents, name, found))
    return versions


def found_by_name(contents: Contents, name: str, found: Snapshot) -> list[int]:
    """Return the ids of chunks that have the name as a word."""
    from edgekit.knowledge.keywords import words

    stems = words(name)
    statistics = contents.store.statistics(stems, found.state, found.chunks)
    return contents.store.with_words(stems, 10_000, statistics)

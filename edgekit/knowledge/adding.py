"""Turns files into documents with vectors, and puts them in a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.knowledge.chunks import Chunk, Count, cut
from edgekit.knowledge.contents import Contents, Entry
from edgekit.knowledge.documents import Document, DocumentError, files_of, name_of
from edgekit.knowledge.nearest import Float32
from edgekit.progress import Progress

BATCH = 512
"""Chunks after which a transaction ends: a kill costs the work on no more, and on a document that has more."""
TOGETHER = 128
"""Chunks embedded at once."""

Embed = Callable[[Sequence[str]], Float32]


@dataclass(frozen=True)
class Refusal:
    """A file that was left out."""

    name: str
    problem: str
    hint: str = ""


@dataclass
class Added:
    """What became of the files that were given, by the names of their documents."""

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    """They were there and have changed."""
    unchanged: list[str] = field(default_factory=list)
    """They were there already and were not embedded again."""
    refused: list[Refusal] = field(default_factory=list)
    chunks: int = 0
    """Chunks that were embedded."""


class Adder:
    """Adds documents to the contents of a knowledge base."""

    def __init__(self, contents: Contents, embed: Embed, count: Count, progress: Progress) -> None:
        self._contents, self._embed, self._count, self._progress = contents, embed, count, progress
        self._waiting: list[Entry] = []
        self.result = Added()

    def add_files(self, paths: Iterable[str | os.PathLike[str]]) -> Added:
        """Add files; what cannot be read is noted and the rest goes on."""
        files = list({name_of(path): path for path in files_of(paths)}.values())
        self._progress.start("Indexing", sum(map(_size, files)))
        try:
            for path in files:
                try:
                    document = Document.read(path)
                except DocumentError as error:
                    self._refuse(name_of(path), error)
                    self._progress.advance(_size(path))
                    continue
                self.add(document, _size(path))
            self.finish()
        finally:
            self._progress.finish()
        return self.result

    def add(self, document: Document, size: int = 0) -> None:
        """Embed a document, unless it is there as it is; it is kept when its batch is."""
        with self._contents.snapshot():
            known = self._contents.store.sha256_of(document.name)
        if known == document.sha256:
            self.result.unchanged.append(document.name)
            self._progress.advance(size)
            return
        chunks = list(cut(document.blocks(), self._contents.base.longest, self._count))
        if not chunks:
            self._refuse(document.name, DocumentError(f"{document.name}: has no text"))
            self._progress.advance(size)
            if known is None:
                return
        entry = Entry(document.name, document.sha256, chunks, self._vectors(chunks, size))
        self._waiting.append(entry)
        self.result.chunks += len(chunks)
        if sum(len(each.chunks) for each in self._waiting) >= BATCH:
            self.finish()

    def finish(self) -> None:
        """Commit what waits."""
        entries, self._waiting = self._waiting, []
        if not entries:
            return
        for entry, outcome in zip(entries, self._contents.commit(entries), strict=True):
            if entry.chunks:
                getattr(self.result, outcome).append(entry.name)

    def _vectors(self, chunks: Sequence[Chunk], size: int) -> Float32:
        vectors = np.zeros((len(chunks), self._contents.base.width), np.float32)
        for start, part in _parts([chunk.embedded for chunk in chunks]):
            vectors[start : start + len(part)] = self._embed(part)
            done = start + len(part)
            self._progress.advance(size * done // len(chunks) - size * start // len(chunks))
        return vectors

    def _refuse(self, name: str, error: EdgekitError) -> None:
        self.result.refused.append(Refusal(name, error.message, error.hint))


def _parts(texts: list[str]) -> Iterator[tuple[int, list[str]]]:
    for start in range(0, len(texts), TOGETHER):
        yield start, texts[start : start + TOGETHER]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0

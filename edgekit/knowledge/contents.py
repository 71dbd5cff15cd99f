"""What lies in the folder of a knowledge base, kept whole: the database says what counts, the vector file follows it.

A transaction that writes takes SQLite's lock, appends its vectors and has them written down, and only then commits the
database. Whatever happens before leaves rows that nobody counts; the next transaction writes over them.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.errors import KnowledgeError
from edgekit.hashing import Stamp, read_record, stamp_of, write_record
from edgekit.knowledge import faiss_index
from edgekit.knowledge.chunks import Chunk
from edgekit.knowledge.nearest import Float32, Index, Int64
from edgekit.knowledge.store import FILE, Base, State, Store
from edgekit.knowledge.vectors import BLOCK, VectorFile, digests
from edgekit.progress import Progress

_FILES = re.compile(r"(?:vectors|nearest)-(\d{1,12})\.(?:f32|arrays)")
_SLICE = 64 * BLOCK

Outcome = Literal["added", "replaced", "unchanged"]


@dataclass(frozen=True)
class Entry:
    """A document that is ready to be put in."""

    name: str
    sha256: str
    chunks: Sequence[Chunk]
    vectors: Float32
    """float32 [chunks, width], each of length 1."""


@dataclass(frozen=True)
class Snapshot:
    """One state of a knowledge base, ready to be searched."""

    state: State
    vectors: Float32
    removed: Int64
    index: Index | None

    @property
    def chunks(self) -> int:
        """The number of chunks that count."""
        return len(self.vectors) - len(self.removed)


class Contents:
    """The open files of a knowledge base. May be used by several threads, which then wait for each other."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self._lock = threading.RLock()
        self._snapshot: Snapshot | None = None
        with store.read():
            self.base = store.base()

    @classmethod
    def create(cls, folder: Path, base: Base) -> None:
        """Put empty files into a folder."""
        Store.create(folder / FILE, base)
        VectorFile(folder, 1, base.width).create()

    @classmethod
    def open(cls, folder: Path) -> Contents:
        """Open the files of a folder.

        Raises:
            KnowledgeError: there is no knowledge base, or a damaged one.
        """
        hint = "make one with: edgekit index FILES --encoder BUNDLE -o DIR"
        if not folder.is_dir():
            what = "is a file, not a knowledge base" if folder.exists() else "there is no such folder"
            raise KnowledgeError(f"{folder}: {what}", hint)
        path = folder / FILE
        if path.is_symlink() or not path.is_file():
            raise KnowledgeError(f"{folder}: is no knowledge base, {FILE} is missing", hint)
        store = Store.open(path)
        try:
            return cls(folder, store)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._snapshot = None
            self.store.close()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """See one state, with the database at the same one."""
        with self._lock, self.store.read():
            state = self.store.state()
            if self._snapshot is None or self._snapshot.state != state:
                self._snapshot = self._load(state)
            yield self._snapshot

    def commit(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Put documents in, all of them or none, in the place of those that had their names.

        Raises:
            KnowledgeError: another process writes for too long, or the files are damaged.
            OSError: the disk is full, or cannot be written.
        """
        outcomes: list[Outcome] = []
        with self._lock, self.store.write():
            state = self.store.state()
            row, words, vectors = state.rows, state.words, list[Float32]()
            for entry in entries:
                known = self.store.sha256_of(entry.name)
                outcomes.append("added" if known is None else "replaced" if known != entry.sha256 else "unchanged")
                if outcomes[-1] == "unchanged":
                    continue
                words -= self.store.drop(entry.name) if known is not None else 0
                if entry.chunks:
                    words += self.store.put(entry.name, entry.sha256, entry.chunks, row)
                    row += len(entry.chunks)
                    vectors.append(entry.vectors)
            file, blocks = self._file(state), self.store.blocks()
            if vectors:
                changed = file.append(state.rows, np.concatenate(vectors), blocks)
                blocks |= changed
            else:
                changed = {}
            self.store.change(State(state.revision, state.generation, row, words), changed)
            stamp = stamp_of(file.path.stat())
        self._remember(file, stamp, blocks)
        self._tidy()
        return outcomes

    def remove(self, names: Sequence[str]) -> list[str]:
        """Take documents out, all of them or none, and return the names that there were."""
        found: list[str] = []
        with self._lock, self.store.write():
            state = self.store.state()
            words = state.words
            for name in names:
                if self.store.sha256_of(name) is not None:
                    words -= self.store.drop(name)
                    found.append(name)
            self.store.change(State(state.revision, state.generation, state.rows, words), {})
        self._tidy()
        return found

    def set_threshold(self, threshold: float) -> None:
        """Set the score below which `ask` declines."""
        with self._lock, self.store.write():
            self.store.set_threshold(threshold)

    def check(self, progress: Progress, *, whatever: bool = False) -> None:
        """Compare the vectors with their hashes, if the file has changed since that was done last, or `whatever`.

        Raises:
            KnowledgeError: they differ.
        """
        with self._lock, self.store.read():
            state, blocks = self.store.state(), self.store.blocks()
            file = self._file(state)
            size = file.map(state.rows).nbytes
            stamp = stamp_of(file.path.stat())  # taken before reading: a change meanwhile is seen the next time
            if not whatever and read_record(self.folder).get(file.path.name) == (*stamp, _digest_of(blocks)):
                return
            progress.start("Checking vectors", size)
            try:
                file.check(state.rows, blocks)
                progress.advance(size)
            finally:
                progress.finish()
        self._remember(file, stamp, blocks)

    def index_is_due(self) -> bool:
        """Whether there are many vectors, Faiss, and no index that knows most of them."""
        with self.snapshot() as found:
            known = found.index.rows if found.index else 0
            rows = len(found.vectors)
            return rows >= faiss_index.LARGE and rows - known > faiss_index.STALE * rows and faiss_index.installed()

    def build_index(self) -> None:
        """Make the index of all vectors.

        Raises:
            MissingExtraError: Faiss is not installed.
        """
        with self.snapshot() as found:
            vectors, state = found.vectors, found.state
        # Others may read and write meanwhile: rows never change, and those that come are looked at one by one.
        faiss_index.build(vectors, self._index_path(state), self._identity(state))
        with self._lock:
            self._snapshot = None

    def compact(self) -> None:
        """Take the vectors of removed chunks out of the file: the others become the next generation."""
        with self._lock, self.store.write():
            state = self.store.state()
            old, new = self._file(state), VectorFile(self.folder, state.generation + 1, self.base.width)
            old.check(state.rows, self.store.blocks())  # new hashes must not cover up old damage
            vectors, rows = old.map(state.rows), np.asarray(self.store.renumber(), np.int64)
            new.create()
            for start in range(0, len(rows), _SLICE):
                new.append(start, vectors[rows[start : start + _SLICE]], {})
            blocks = dict(enumerate(digests(new.map(len(rows)))))
            self.store.forget_blocks()
            self.store.change(State(state.revision, new.generation, len(rows), state.words), blocks)
            stamp = stamp_of(new.path.stat())
            self._snapshot = None
        self._remember(new, stamp, blocks)
        self._tidy()

    def _load(self, state: State) -> Snapshot:
        vectors = self._file(state).map(state.rows)
        removed = np.asarray(self.store.removed(), np.int64)
        old = self._snapshot
        if old is not None and old.index is not None and old.state.generation == state.generation:
            return Snapshot(state, vectors, removed, old.index)
        index = None
        if len(vectors) >= faiss_index.LARGE:
            index = faiss_index.load(self._index_path(state), self._identity(state), self.base.width)
        return Snapshot(state, vectors, removed, index if index and index.rows <= len(vectors) else None)

    def _tidy(self) -> None:
        """Take out what counts no more: vectors where they are the most, and files of generations that are gone."""
        with self._lock:
            with self.store.read():
                state, removed = self.store.state(), len(self.store.removed())
            if removed > max(BLOCK, state.rows // 2):
                self.compact()
                return
            for path in self.folder.iterdir():
                found = _FILES.fullmatch(path.name)
                if found and int(found[1]) < state.generation:
                    with contextlib.suppress(OSError):  # Windows: another process has it mapped
                        path.unlink()

    def _remember(self, file: VectorFile, stamp: Stamp, blocks: dict[int, str]) -> None:
        write_record(self.folder, {file.path.name: (*stamp, _digest_of(blocks))})

    def _file(self, state: State) -> VectorFile:
        return VectorFile(self.folder, state.generation, self.base.width)

    def _index_path(self, state: State) -> Path:
        return self.folder / f"nearest-{state.generation}.arrays"

    def _identity(self, state: State) -> str:
        return f"{self.base.identity} {state.generation}"


def _digest_of(blocks: dict[int, str]) -> str:
    return hashlib.sha256("".join(f"{number} {blocks[number]}\n" for number in sorted(blocks)).encode()).hexdigest()

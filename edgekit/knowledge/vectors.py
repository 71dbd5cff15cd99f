"""The vectors of a knowledge base: one file of float32 rows, read by memory map and only ever appended to.

What the database does not count yet is not there: rows that a killed process left behind are written over. The hashes
of blocks of rows, kept in the database, find damage and say where it is.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.errors import KnowledgeError
from edgekit.staging import sync_folder

Float32 = npt.NDArray[np.float32]

BLOCK = 1024
"""Rows that are hashed together."""
AGAIN = "make the knowledge base again from its documents: edgekit index FILES --encoder BUNDLE -o NEW"


@dataclass(frozen=True)
class VectorFile:
    """The file of one generation; taking out what was removed makes the next one."""

    folder: Path
    generation: int
    width: int

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / f"vectors-{self.generation}.f32"

    def map(self, rows: int) -> Float32:
        """Return its first rows, float32 [rows, width], mapped and read-only.

        Raises:
            KnowledgeError: it is missing, is a link or no file, cannot be read, or has fewer rows.
        """
        wanted = rows * self.width * 4
        try:
            if self.path.is_symlink() or not self.path.is_file():
                what = "is not a regular file" if os.path.lexists(self.path) else "the file is missing"
                raise KnowledgeError(f"{self.path}: {what}", AGAIN)
            size = self.path.stat().st_size
            if size < wanted:
                raise KnowledgeError(
                    f"{self.path}: {size:,} bytes, {rows:,} rows need {wanted:,}: it is damaged", AGAIN
                )
            if not rows:
                return np.zeros((0, self.width), np.float32)
            mapped: Float32 = np.memmap(self.path, "<f4", "r", 0, (rows, self.width))
        except OSError as error:
            raise KnowledgeError(f"{self.path}: cannot be read: {error.strerror or error}", "check it") from error
        return mapped.view(np.ndarray).astype(np.float32, copy=False)  # copies only on big-endian machines

    def create(self) -> None:
        """Make it, empty, and have the system write it down."""
        with self.path.open("wb") as file:
            os.fsync(file.fileno())
        sync_folder(self.folder)

    def append(self, start: int, vectors: Float32, known: dict[int, str]) -> dict[int, str]:
        """Write rows behind the first `start`, so that they outlive a power cut, and return the hashes that changed.

        Args:
            start: The rows that are there by the database.
            vectors: float32 [n, width].
            known: The hashes of the blocks so far.

        Raises:
            KnowledgeError: the block to go on with is damaged: a new hash must not cover that up.
        """
        first = start // BLOCK
        before = self.map(start)[first * BLOCK :]
        if len(before) and _digest(before) != known.get(first):
            raise self.damaged(first)
        with self.path.open("r+b") as file:
            file.seek(start * self.width * 4)
            file.write(np.ascontiguousarray(vectors, "<f4").data)
            file.flush()
            os.fsync(file.fileno())
        after = self.map(start + len(vectors))[first * BLOCK :]
        return {first + number: digest for number, digest in enumerate(digests(after))}

    def check(self, rows: int, known: dict[int, str]) -> None:
        """Compare every row with the hashes.

        Raises:
            KnowledgeError: a block differs from its hash, or has none.
        """
        for number, digest in enumerate(digests(self.map(rows))):
            if digest != known.get(number):
                raise self.damaged(number)

    def damaged(self, block: int) -> KnowledgeError:
        """Return the error that says which rows are damaged."""
        first = block * BLOCK
        return KnowledgeError(f"{self.path}: rows {first:,} to {first + BLOCK - 1:,} do not match their SHA-256", AGAIN)


def digests(vectors: Float32) -> Iterator[str]:
    """Yield the hash of each block of rows, the last of which may be shorter."""
    for start in range(0, len(vectors), BLOCK):
        yield _digest(vectors[start : start + BLOCK])


def _digest(rows: Float32) -> str:
    own = rows if sys.byteorder == "little" else rows.astype("<f4")
    return hashlib.sha256(np.ascontiguousarray(own).data).hexdigest()

"""Reads files at positions and tensors from them by rows: what every kind of checkpoint shares.

No file is mapped: mapped pages count as the process's memory, and a file that shrinks would kill it.
"""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.weights import Float32, Rows

if TYPE_CHECKING:
    from pathlib import Path

Bytes = npt.NDArray[np.uint8]

DAMAGED = "the file is damaged or was only partly downloaded: fetch it again"


class PositionedFile:
    """A file that several threads may read at once, each at its own position.

    Raises:
        CheckpointError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise CheckpointError(
                f"cannot open {path}: {error.strerror}", "check the path and its permissions"
            ) from error
        self._lock = threading.Lock()

    def read(self, offset: int, count: int) -> Bytes:
        """Return `count` bytes from `offset` on, as a new array.

        Raises:
            CheckpointError: the file ends before, or cannot be read.
        """
        out = np.empty(count, np.uint8)
        self.read_into(out.data, offset)
        return out

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` (bytes) from `offset` on.

        Raises:
            CheckpointError: the file ends before, or cannot be read.
        """
        done = 0
        try:
            while done < len(buffer):
                got = self._read_some(buffer[done:], offset + done)
                if not got:
                    raise CheckpointError(f"{self.path} ends at byte {offset + done:,}, within its data", DAMAGED)
                done += got
        except OSError as error:
            raise CheckpointError(f"cannot read {self.path}: {error.strerror}", "check the disk") from error

    def _read_some(self, buffer: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [buffer], offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.readinto(buffer) or 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FileRows(Rows):
    """A tensor in a file. Any number of dimensions may be listed; one or two can be read."""

    def __init__(self, file: PositionedFile, name: str, shape: tuple[int, ...]) -> None:
        self.file, self.name, self.shape = file, name, shape

    def read(self, start: int, stop: int) -> Float32:
        """Return rows start..stop as a new float32 array [stop - start, *shape[1:]].

        Raises:
            CheckpointError: the file ends before them, they hold NaN or infinity, or are not floating-point numbers.
            UnsupportedError: the tensor has no rows to read: no dimension, or more than two.
        """
        if len(self.shape) not in (1, 2):
            raise UnsupportedError(
                f"{self.file.path}: the tensor {self.name} has the shape {list(self.shape)}, not one or two dimensions",
                "this architecture stores its weights in a way that EdgeKit does not know",
            )
        if not 0 <= start <= stop <= self.shape[0]:
            raise ValueError(f"rows {start}..{stop} of {self.name}, which has {self.shape[0]}")
        values = self.decode(start, stop).reshape(stop - start, *self.shape[1:])
        self._check_finite(values, start)
        return values

    @abstractmethod
    def decode(self, start: int, stop: int) -> Float32:
        """Return rows start..stop as float32, in any shape; the caller has checked the bounds."""

    def _check_finite(self, values: Float32, start: int) -> None:
        # A sum is the cheapest look at every value; only when it is not finite (it may overflow) each is looked at.
        with np.errstate(all="ignore"):
            if np.isfinite(np.add.reduce(values, axis=None)):
                return
        bad = np.argwhere(~np.isfinite(values))
        if not len(bad):
            return
        place = [start + int(bad[0][0]), *(int(index) for index in bad[0][1:])]
        raise CheckpointError(
            f"{self.file.path}: the tensor {self.name} holds {values[tuple(bad[0])]} at {place} "
            f"({len(bad):,} such values in this block)",
            "the checkpoint is damaged, or its training diverged: fetch it again or use another one",
        )

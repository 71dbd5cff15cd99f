"""XNNPACK's packed weights in a file, made at the first load and mapped by later ones of any process.

The engine checks next to nothing of such a file: one made from other weights is used as it is, a damaged one may be,
and a disk that fills up while it is written ends the process. So a file is used only by its record, which is written
after the engine has finished it, names it, and holds its hash; and it is begun only where there is room.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.folders import user_cache_folder, write_whole
from edgekit.hashing import sha256_of, stamp_of
from edgekit.machine import read_cpu
from edgekit.manifest import FileEntry
from edgekit.progress import Silent

MEMORY = ":memory"
"""What the engine takes for the path of a cache that is memory: shared between signatures, gone with the process."""

SPARE_BYTES = 64 << 20
UNFINISHED_SECONDS = 3600
"""A file without a record is another process's at work, or left by one that was killed."""
UNUSED_SECONDS = 30 * 24 * 3600

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Record:
    """A finished file."""

    file: str
    size: int
    mtime: int
    sha256: str


class WeightCache:
    """The packed weights of one model file for one engine version and processor: a context around loading.

    Entering returns the path to give to the engine: that of a finished file, of one to be made, or `MEMORY`.
    Leaving without an error records the file that was made; with one, nothing of it is left.
    """

    def __init__(self, model: FileEntry, engine: str) -> None:
        cpu = read_cpu()
        kind = f"{model.sha256} {engine} {cpu.name} {' '.join(cpu.features)}"
        self._key = hashlib.sha256(kind.encode()).hexdigest()[:32]
        self._needed = model.size * 3 // 2 + SPARE_BYTES
        self._folder = user_cache_folder() / "tflite"
        self._record = self._folder / f"{self._key}.json"
        self._made: Path | None = None

    def __enter__(self) -> str:
        found = self._find()
        if found is not None:
            with contextlib.suppress(OSError):
                os.utime(self._record)
            return str(found)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._clean()
            free = shutil.disk_usage(self._folder).free
            if free < self._needed:
                LOG.warning("%s has %d MB free, the packed weights want %d: loading without them", self._folder,
                            free >> 20, self._needed >> 20)  # fmt: skip
                return MEMORY
            made = self._folder / f"{self._key}-{uuid.uuid4().hex[:12]}.xnnpack"
            # Not left to the engine: it goes on without, and with several times the memory.
            made.touch(exist_ok=False)
        except OSError as error:
            LOG.warning("cannot write to %s (%s): loading without a cache of packed weights, which is slower",
                        self._folder, error.strerror)  # fmt: skip
            return MEMORY
        self._made = made
        return str(made)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._made is None:
            return
        if kind is not None or not self._finish(self._made):
            _remove(self._made)

    def _find(self) -> Path | None:
        """Return the finished file, if it is still what it was; otherwise remove what is there."""
        record = _read(self._record)
        if record is None:
            return None
        path = self._folder / record.file
        try:
            size, mtime = stamp_of(path.stat())
            whole = size == record.size and (mtime == record.mtime or sha256_of(path, Silent()) == record.sha256)
        except OSError:
            whole = False
        if not whole:
            LOG.warning("%s is not what was written: removed, and made again", path)
            _remove(path)
            _remove(self._record)
            return None
        return path

    def _finish(self, made: Path) -> bool:
        try:
            size, mtime = stamp_of(made.stat())
            if not size:
                return False
            record = _Record(made.name, size, mtime, sha256_of(made, Silent()))
            write_whole(self._record, json.dumps(asdict(record)))
        except OSError as error:
            LOG.warning("cannot keep the packed weights in %s: %s", self._folder, error.strerror)
            return False
        return True

    def _clean(self) -> None:
        """Remove what was not used for a month, and what a killed process left."""
        kept = {self._record.name}
        for record in self._folder.glob("*.json"):
            if _age(record) > UNUSED_SECONDS:
                _remove(record)
            else:
                entry = _read(record)
                kept |= {entry.file} if entry is not None else set()
        for path in (*self._folder.glob("*.xnnpack"), *self._folder.glob("*.tmp")):
            if path.name not in kept and _age(path) > UNFINISHED_SECONDS:
                _remove(path)


def _age(path: Path) -> float:
    """Return the seconds since a file was written; 0 where another process has removed it in the meantime."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> _Record | None:
    try:
        data: Any = json.loads(path.read_bytes())
        record = _Record(str(data["file"]), int(data["size"]), int(data["mtime"]), str(data["sha256"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # Never a file elsewhere, whoever wrote the record.
    return record if Path(record.file).name == record.file and record.file.endswith(".xnnpack") else None


def _remove(path: Path) -> None:
    # On Windows a file that another process has mapped stays; a later load tries again.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)

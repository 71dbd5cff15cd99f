"""SHA-256 of files of any size, and the record that spares doing it again at every load."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import BundleError
from edgekit.folders import cache_record, write_whole
from edgekit.strict_json import Reader, parse

if TYPE_CHECKING:
    from edgekit.progress import Progress

CHUNK = 4 << 20

Stamp = tuple[int, int]
"""Size in bytes and modification time in nanoseconds."""
Record = dict[str, tuple[int, int, str]]
"""By name: the stamp that a file had before it was hashed, and its hash."""


def sha256_of(path: Path, progress: Progress) -> str:
    """Return the SHA-256 of a file as hex digits, telling `progress` the bytes as they are read.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            progress.advance(count)
    return digest.hexdigest()


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what must change when a file's content does."""
    return status.st_size, status.st_mtime_ns


def read_record(folder: Path) -> Record:
    """Return the record of a bundle; empty where there is none or it is damaged, for then everything is hashed."""
    path = _record_path(folder)
    try:
        data = Reader(str(path)).build(dict[str, tuple[int | str, ...]], parse(path.read_bytes(), str(path)), "record")
    except (OSError, BundleError):
        return {}
    out: Record = {}
    for name, entry in data.items():
        if [type(item) for item in entry] == [int, int, str]:
            out[name] = entry
    return out


def write_record(folder: Path, record: Record) -> None:
    """Keep the record of a bundle, whole or not at all."""
    # A cache that cannot be written only means that the next load hashes again.
    with contextlib.suppress(OSError):
        write_whole(_record_path(folder), json.dumps(record))


def _record_path(folder: Path) -> Path:
    return cache_record("bundles", os.fsencode(folder.resolve()))

"""The file of a saved cache: one format for every runtime.

8 bytes   magic and version
32 bytes  SHA-256 of the SHA-256 of each 4 MB of all that follows
8 bytes   length of the header, little endian
header    JSON: identity, tokens, notes, arrays (name, dtype, shape, position), filled up with spaces
arrays    each at a multiple of 64 bytes, mapped when read
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError

MAGIC = b"EDGEKV03"
ALIGNMENT = 64
HASHED_AT, HEADER_AT = 40, 48
PIECE = 4 << 20
"""Bytes that one thread hashes at a time: whoever waits for a stored prefix waits for its hash most of all."""
MAX_HEADER = 8 << 20
"""Bytes: a context of half a million tokens, and what they say."""
DTYPES = ("float32", "float16", "int8", "uint8", "int32")
DAMAGED = "it is damaged: remove it and compute the text again"
UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, RecursionError)


class StateError(EdgekitError):
    """A saved cache that cannot be taken back."""


class ForeignStateError(StateError):
    """A whole file, but saved with another model, format, runtime or cache precision."""

    def __init__(self, path: Path, notes: dict[str, Any]) -> None:
        super().__init__(
            f"{path} was saved with another model, format, runtime or cache precision",
            "load the bundle as it was loaded when it was saved",
        )
        self.notes = notes
        """What was noted in it, which needs no model to be read."""


@dataclass(frozen=True)
class State:
    """What a file held: the tokens, the runtime's arrays, mapped read-only, and what was noted."""

    tokens: list[int]
    arrays: dict[str, npt.NDArray[Any]]
    notes: dict[str, Any]


@dataclass(frozen=True)
class Header:
    """What a file says of itself; nothing of it is checked against the hash."""

    identity: str
    tokens: list[int]
    notes: dict[str, Any]


def write_state(
    path: Path,
    identity: str,
    tokens: Sequence[int],
    arrays: Mapping[str, npt.NDArray[Any]],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a saved cache, and JSON values to be noted beside it; the file is whole or absent."""
    entries, position = [], 0
    parts: list[bytes | memoryview] = []
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        if str(data.dtype) not in DTYPES:
            raise ValueError(f"an array of {data.dtype} could not be read back")
        entries.append({"name": name, "dtype": str(data.dtype), "shape": list(data.shape), "position": position})
        padding = bytes(-data.nbytes % ALIGNMENT)
        parts += [data.reshape(-1).view(np.uint8).data, padding]
        position += data.nbytes + len(padding)
    header = {
        "identity": identity,
        "tokens": list(map(int, tokens)),
        "notes": dict(notes or {}),
        "arrays": entries,
    }
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + HEADER_AT) % ALIGNMENT)
    if len(text) > MAX_HEADER:
        raise EdgekitError(f"{path} would have a header of {len(text):,} bytes", f"{MAX_HEADER:,} are allowed")
    try:
        # Not mkstemp, whose files nobody else may read: a bundle may be written by one user and run by another.
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            with temporary.open("xb") as file:
                for part in (MAGIC, bytes(HASHED_AT - len(MAGIC)), len(text).to_bytes(8, "little"), text, *parts):
                    file.write(part)
                file.flush()
                digest = _digest(np.memmap(temporary, np.uint8, "r"))
                file.seek(len(MAGIC))
                file.write(digest)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EdgekitError(f"cannot write {path}: {error.strerror}", "choose another place for it") from error


def read_header(path: Path) -> Header:
    """Read what a saved cache says of itself, without reading the cache.

    Raises:
        StateError: not such a file, or cut short.
    """
    with _opened(path) as file:
        _, length, text = _read_head(path, file)
    if len(text) != length:
        raise StateError(f"{path} is cut short", DAMAGED)
    try:
        header = json.loads(text)
        return Header(str(header["identity"]), [int(token) for token in header["tokens"]], dict(header["notes"]))
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def read_state(path: Path, identity: str) -> State:
    """Read a saved cache.

    Raises:
        ForeignStateError: it is of another model, or was saved in another way.
        StateError: not such a file, cut short, or changed.
    """
    with _opened(path) as file:
        digest, length, header = _read_head(path, file)
        whole = np.memmap(path, np.uint8, "r")
    if len(header) != length or _digest(whole) != digest:
        raise StateError(f"{path} does not match its hash", DAMAGED)
    try:
        return _read(path, identity, json.loads(header), whole[HEADER_AT + length :])
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _digest(whole: npt.NDArray[np.uint8]) -> bytes:
    """Return the hash of a file's content."""
    content = whole[HASHED_AT:]
    pieces = [content[at : at + PIECE].data for at in range(0, len(content), PIECE)]
    with ThreadPoolExecutor(max(1, min(len(pieces), os.cpu_count() or 1))) as pool:
        return hashlib.sha256(b"".join(pool.map(_sha256, pieces))).digest()


def _sha256(piece: memoryview) -> bytes:
    return hashlib.sha256(piece).digest()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}", "check the path and its permissions") from error


def _read_head(path: Path, file: BinaryIO) -> tuple[bytes, int, bytes]:
    """Return the file's hash, the length of its header, and the header, which may be shorter."""
    if file.read(8) != MAGIC:
        raise StateError(f"{path} is no saved session of this version", DAMAGED)
    digest, length = file.read(32), int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise StateError(f"{path} has a header of {length} bytes", DAMAGED)
    return digest, length, file.read(length)


def _unreadable(path: Path, error: Exception) -> StateError:
    return StateError(f"{path} has a header that cannot be read ({error})", DAMAGED)


def _read(path: Path, identity: str, header: dict[str, Any], data: npt.NDArray[np.uint8]) -> State:
    notes = dict(header["notes"])
    if header["identity"] != identity:
        raise ForeignStateError(path, notes)
    arrays = {}
    for entry in header["arrays"]:
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"dtype {entry['dtype']!r}")
        dtype, shape, position = np.dtype(entry["dtype"]), tuple(entry["shape"]), int(entry["position"])
        count = math.prod(shape) * dtype.itemsize
        if any(n < 0 for n in shape) or position < 0 or position + count > len(data):
            raise ValueError(f"array {entry['name']!r} lies outside of the file")
        arrays[str(entry["name"])] = data[position : position + count].view(dtype).reshape(shape)
    return State([int(token) for token in header["tokens"]], arrays, notes)

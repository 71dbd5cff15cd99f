"""The file of a saved cache: one format for every runtime.

8 bytes   magic and version
8 bytes   length of the header, little endian
header    JSON: identity, tokens, arrays (name, dtype, shape, position), size and SHA-256 of what follows
arrays    each at a multiple of 64 bytes, mapped when read
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError

MAGIC = b"EDGEKV01"
ALIGNMENT = 64
MAX_HEADER = 64 << 20
DTYPES = ("float32", "float16", "int8", "uint8")
DAMAGED = "it is damaged: remove it and compute the text again"


class StateError(EdgekitError):
    """A saved cache that is damaged or belongs to another model."""


@dataclass(frozen=True)
class State:
    """What a file held: the tokens and the runtime's arrays, mapped read-only."""

    tokens: list[int]
    arrays: dict[str, npt.NDArray[Any]]


def write_state(path: Path, identity: str, tokens: Sequence[int], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a saved cache; the file is whole or absent."""
    entries, position = [], 0
    digest = hashlib.sha256()
    parts: list[bytes | memoryview] = []
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        entries.append({"name": name, "dtype": str(data.dtype), "shape": list(data.shape), "position": position})
        padding = bytes(-data.nbytes % ALIGNMENT)
        for part in (data.reshape(-1).view(np.uint8).data, padding):
            digest.update(part)
            parts.append(part)
        position += data.nbytes + len(padding)
    header = {"identity": identity, "tokens": list(map(int, tokens)), "arrays": entries}
    text = json.dumps({**header, "size": position, "sha256": digest.hexdigest()}).encode()
    text += b" " * (-(len(text) + 16) % ALIGNMENT)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                for part in (MAGIC, len(text).to_bytes(8, "little"), text, *parts):
                    file.write(part)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EdgekitError(f"cannot write {path}: {error.strerror}", "choose another place for it") from error


def read_state(path: Path, identity: str) -> State:
    """Read a saved cache.

    Raises:
        StateError: not such a file, cut short, changed, or of another model.
    """
    try:
        with path.open("rb") as file:
            if file.read(8) != MAGIC:
                raise StateError(f"{path} is no saved session of this version", DAMAGED)
            length = int.from_bytes(file.read(8), "little")
            if length > MAX_HEADER:
                raise StateError(f"{path} has a header of {length} bytes", DAMAGED)
            header = file.read(length)
            if len(header) != length:
                raise StateError(f"{path} ends within its header", DAMAGED)
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}") from error
    try:
        return _read(path, identity, json.loads(header), 16 + length)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise StateError(f"{path} has a header that cannot be read ({error})", DAMAGED) from error


def _read(path: Path, identity: str, header: dict[str, Any], start: int) -> State:
    if header["identity"] != identity:
        raise StateError(
            f"{path} was saved with another model, format, runtime or cache precision",
            "load the bundle as it was loaded when it was saved",
        )
    size = int(header["size"])
    if path.stat().st_size != start + size:
        raise StateError(f"{path} has {path.stat().st_size} bytes, not {start + size}", DAMAGED)
    data = np.memmap(path, np.uint8, "r", start, (size,)) if size else np.zeros(0, np.uint8)
    if hashlib.sha256(data.data).hexdigest() != header["sha256"]:
        raise StateError(f"{path} does not match its hash", DAMAGED)
    arrays = {}
    for entry in header["arrays"]:
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"dtype {entry['dtype']!r}")
        dtype, shape, position = np.dtype(entry["dtype"]), tuple(entry["shape"]), int(entry["position"])
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if any(n < 0 for n in shape) or position < 0 or position + count > size:
            raise ValueError(f"array {entry['name']!r} lies outside of the file")
        arrays[str(entry["name"])] = data[position : position + count].view(dtype).reshape(shape)
    return State([int(token) for token in header["tokens"]], arrays)

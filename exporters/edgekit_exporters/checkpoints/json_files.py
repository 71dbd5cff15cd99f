"""Reads the small text files around the weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgekit.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 256 << 20
"""No config, index or tokenizer comes near it."""


def read_text(path: Path) -> str:
    """Return a text file.

    Raises:
        CheckpointError: it cannot be read, is larger than MAX_BYTES or is not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CheckpointError(f"{path} has {size:,} bytes", "this is no such file: fetch the checkpoint again")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}", "check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", _AGAIN) from error


def read_object(path: Path) -> dict[str, Any]:
    """Return a file's JSON object.

    Raises:
        CheckpointError: it cannot be read or is not one JSON object.
    """
    return parse_object(read_text(path), path)


def parse_object(text: str, path: Path) -> dict[str, Any]:
    """Return the JSON object in `text`; `path` is named in errors.

    Raises:
        CheckpointError: it is not one JSON object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}", _AGAIN) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds {type(value).__name__}, not a JSON object", _AGAIN)
    return value


_AGAIN = "fetch the file again; an unfinished download or a page of a website is often saved in its place"

"""What people hand to a command as text: from the command line or standard input, refused where it is no text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from typing import BinaryIO

STANDARD_INPUT = "-"


def read_prompt(given: str | None, source: BinaryIO | None = None) -> str:
    """Return the prompt: as given, or for "-" all of standard input without its last line end.

    Raises:
        UsageError: it is missing, empty or no text.
    """
    if given is None:
        raise UsageError("there is no prompt", "write it behind the bundle, or - to read it from standard input")
    if given == STANDARD_INPUT:
        raw = (sys.stdin.buffer if source is None else source).read()
        text = _one_line_end_less(decoded(raw, "standard input"))
    else:
        text = checked(given, "the prompt")
    if not text.strip():
        raise UsageError("the prompt is empty", "write it behind the bundle, or - to read it from standard input")
    return text


def read_text_file(path: Path) -> str:
    """Return the text of a file, without its last line end.

    Raises:
        UsageError: it is missing, empty or no text.
    """
    try:
        text = _one_line_end_less(decoded(path.read_bytes(), str(path)))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "check the path") from error
    if not text.strip():
        raise UsageError(f"{path} is empty", "give a file with text")
    return text


def read_json_list(path: Path) -> list[Any]:
    """Return the list in a JSON file.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        value = json.loads(read_text_file(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}", "mend it") from error
    if not isinstance(value, list):
        raise UsageError(f"{path} holds no list", "write it as [...]")
    return value


def read_ids(text: str) -> list[int]:
    """Return token ids written as "1 2 3", with spaces or commas between them.

    Raises:
        UsageError: something else is among them.
    """
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise UsageError(f"{text!r} is no list of token ids", 'with --ids a prompt looks like "1 2 3"') from error


def checked(text: str, what: str) -> str:
    """Return `text` if it is Unicode; arguments that were not carry their bytes as lone surrogates (PEP 383).

    Raises:
        UsageError: it holds a surrogate.
    """
    for position, character in enumerate(text):
        if "\ud800" <= character <= "\udfff":
            raise UsageError(
                f"{what} is no valid Unicode: U+{ord(character):04X} at character {position + 1}",
                "give text in UTF-8",
            )
    return text


def decoded(raw: bytes, what: str) -> str:
    """Return bytes as text; a byte order mark, as Windows shells send it, is dropped.

    Raises:
        UsageError: they are not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{what} is not UTF-8: byte 0x{raw[error.start]:02X} at offset {error.start}", "convert it to UTF-8 first"
        ) from error


def _one_line_end_less(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")

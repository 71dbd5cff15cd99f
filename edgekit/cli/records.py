"""Reads texts from a file or standard input, one after another: lines, JSON lines or CSV.

What cannot be read is told with its line and passed over; memory does not grow with the number of lines.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgekit.cli.reading import STANDARD_INPUT
from edgekit.errors import UsageError

FORMS = ("lines", "jsonl", "csv")
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
MAX_LINE = 16 << 20
"""Bytes of a line; what is longer is no text that anyone classifies."""

Complain = Callable[[int, str], None]
"""Is told the number of a line and what is wrong with it."""


@dataclass(frozen=True)
class Record:
    """A text and the line that it begins on, counted from 1."""

    line: int
    text: str


@dataclass(frozen=True)
class Source:
    """Where texts come from: a path, or "-" for standard input."""

    path: str
    form: str
    column: str

    @classmethod
    def of(cls, path: str, form: str | None, column: str) -> Source:
        """Return a source whose form is that of its file name where none is given.

        Raises:
            UsageError: an unknown form.
        """
        form = form or SUFFIXES.get(Path(path).suffix.lower(), "lines")
        if form not in FORMS:
            raise UsageError(f"unknown form of input {form!r}", f"choose one of: {', '.join(FORMS)}")
        return cls(path, form, column)

    @property
    def size(self) -> int | None:
        """Its bytes, None where that is not known."""
        path = Path(self.path)
        return path.stat().st_size if self.path != STANDARD_INPUT and path.is_file() else None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it; standard input stays open."""
        if self.path == STANDARD_INPUT:
            yield sys.stdin.buffer
            return
        if not Path(self.path).is_file():
            raise UsageError(f"{self.path}: there is no such file", "give a file, or - to read standard input")
        with Path(self.path).open("rb") as file:
            yield file

    def records(self, file: BinaryIO, complain: Complain, advance: Callable[[int], None]) -> Iterator[Record]:
        """Yield the texts of an opened file.

        Args:
            file: What `open` gave.
            complain: Is told what cannot be read.
            advance: Is told of bytes as they are read.

        Raises:
            UsageError: a CSV without the column.
        """
        lines = _decoded(file, complain, advance)
        if self.form == "csv":
            found = self._from_csv(lines, complain)
        elif self.form == "jsonl":
            found = self._from_json(lines, complain)
        else:
            found = (Record(number, text) for number, text in lines)
        for record in found:
            if record.text.strip():
                yield record
            else:
                complain(record.line, "the text is empty")

    def _from_json(self, lines: Iterator[tuple[int, str]], complain: Complain) -> Iterator[Record]:
        for number, line in lines:
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                complain(number, f"is no JSON: {error}")
                continue
            text = value.get(self.column) if isinstance(value, dict) else value
            if not isinstance(text, str):
                has = f"no text {self.column!r}" if isinstance(value, dict) else "neither an object nor a text"
                complain(number, f"has {has}")
            elif any("\ud800" <= character <= "\udfff" for character in text):
                complain(number, "is no valid Unicode: a lone surrogate")
            else:
                yield Record(number, text)

    def _from_csv(self, lines: Iterator[tuple[int, str]], complain: Complain) -> Iterator[Record]:
        csv.field_size_limit(MAX_LINE)
        at = 0

        def texts() -> Iterator[str]:
            nonlocal at
            for number, line in lines:
                at = number
                yield f"{line}\n"

        tabs = Path(self.path).suffix.lower() == ".tsv"
        rows = csv.reader(texts(), delimiter="\t" if tabs else ",")
        header = next(rows, [])
        if self.column not in header:
            has = ", ".join(header[:20]) or "none"
            raise UsageError(f"{self.path} has no column {self.column!r:.200}; its columns: {has:.500}", "use --column")
        place = header.index(self.column)
        while True:
            first = at + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                complain(first, f"is no CSV: {error}")
                continue
            if not row:
                continue
            if len(row) <= place:
                complain(first, f"has {len(row)} of {len(header)} columns")
            else:
                yield Record(first, row[place])


def _decoded(file: BinaryIO, complain: Complain, advance: Callable[[int], None]) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line that is UTF-8, without its line end."""
    number = 0
    while raw := file.readline(MAX_LINE):
        number += 1
        advance(len(raw))
        if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
            complain(number, f"is longer than {MAX_LINE:,} bytes")
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(MAX_LINE)
                advance(len(raw))
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            complain(number, f"is not UTF-8: byte 0x{raw[error.start]:02X} at offset {error.start}")
            continue
        yield number, text.removesuffix("\n").removesuffix("\r")

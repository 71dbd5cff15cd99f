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

from edgekit.cli.errors import say
from edgekit.cli.reading import STANDARD_INPUT
from edgekit.errors import UsageError
from edgekit.manifest import CONTROL

FORMS = ("lines", "jsonl", "csv")
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
MAX_LINE = 16 << 20
"""Bytes of a line; what is longer is no text that anyone classifies."""

COMPLAINTS = 20
"""Lines told one by one; the rest is counted."""

Complain = Callable[[int, str], None]
"""Is told the number of a line and what is wrong with it."""


@dataclass(frozen=True)
class Record:
    """A text and the line that it begins on, counted from 1."""

    line: int
    text: str
    label: str = ""


@dataclass(frozen=True)
class Source:
    """Where texts come from: a path, or "-" for standard input."""

    path: str
    form: str
    column: str
    label: str | None = None
    """The column with the texts' labels, None where they have none."""

    @classmethod
    def of(cls, path: str, form: str | None, column: str, label: str | None = None) -> Source:
        """Return a source whose form is that of its file name where none is given.

        Raises:
            UsageError: an unknown form, or labels asked of lines.
        """
        form = form or SUFFIXES.get(Path(path).suffix.lower(), "lines")
        if form not in FORMS:
            raise UsageError(f"unknown form of input {form!r}", f"choose one of: {', '.join(FORMS)}")
        if label is not None and form == "lines":
            raise UsageError(f"{path}: lines of text have no labels", "give a CSV or JSON lines: --input csv or jsonl")
        return cls(path, form, column, label)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read: that of the text, and that of the label where there is one."""
        return (self.column,) if self.label is None else (self.column, self.label)

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
            if not record.text.strip():
                complain(record.line, "the text is empty")
            elif self.label is not None and (problem := _problem_of(record.label)):
                complain(record.line, problem)
            else:
                yield record

    def _from_json(self, lines: Iterator[tuple[int, str]], complain: Complain) -> Iterator[Record]:
        for number, line in lines:
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                complain(number, f"is no JSON: {error}")
                continue
            if isinstance(value, str) and self.label is None:
                value = {self.column: value}
            if not isinstance(value, dict):
                complain(number, "is no object" if self.label else "has neither an object nor a text")
                continue
            found = {column: value.get(column) for column in self.columns}
            texts = [text for text in found.values() if isinstance(text, str)]
            if len(texts) < len(found):
                missing = next(column for column, text in found.items() if not isinstance(text, str))
                complain(number, f"has no text {missing!r}")
            elif any("\ud800" <= character <= "\udfff" for text in texts for character in text):
                complain(number, "is no valid Unicode: a lone surrogate")
            else:
                yield Record(number, *texts)

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
        for column, option in zip(self.columns, ("--column", "--label"), strict=False):
            if column not in header:
                has = ", ".join(header[:20]) or "none"
                raise UsageError(f"{self.path} has no column {column!r:.200}; its columns: {has:.500}", f"use {option}")
        places = [header.index(column) for column in self.columns]
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
            if len(row) <= max(places):
                complain(first, f"has {len(row)} of {len(header)} columns")
            else:
                yield Record(first, *(row[place] for place in places))


def _problem_of(label: str) -> str:
    """Say what is wrong with a label, nothing where it can be one."""
    if not label.strip():
        return "the label is empty"
    return "the label holds a control character" if CONTROL.search(label) else ""


class Complaints:
    """What was wrong with lines, told on standard error."""

    def __init__(self, path: str) -> None:
        self.path, self.count = path, 0

    def tell(self, line: int, problem: str) -> None:
        """Say what is wrong with a line."""
        self.count += 1
        if self.count <= COMPLAINTS:
            say(f"line {line} {problem}" if problem.startswith(("is ", "has ")) else f"line {line}: {problem}")

    def finish(self) -> int:
        """Say how many there were and return the exit code."""
        if self.count:
            lines = "1 line" if self.count == 1 else f"{self.count:,} lines"
            say(f"{lines} of {self.path} left out", "mend them, or go on without them")
        return 1 if self.count else 0


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

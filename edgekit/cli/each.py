"""Does one thing with each text of a source and writes a JSON line for it as it goes: embed, classify and tag."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli.errors import say
from edgekit.cli.records import Record, Source
from edgekit.errors import EdgekitError, SessionBusyError

if TYPE_CHECKING:
    from edgekit.model import Model

CHUNK = 512
"""Texts taken at once: enough for batches of similar lengths, few enough to show results as they come."""
COMPLAINTS = 20
"""Lines told one by one; the rest is counted."""

Input = Annotated[
    str, typer.Argument(metavar="FILE", help="A file of texts, or - for standard input.", show_default=False)
]
Form = Annotated[
    str | None,
    typer.Option("--input", metavar="FORM", help="lines, jsonl or csv. (default: by the file's name, or lines)"),
]
Column = Annotated[
    str, typer.Option("--column", metavar="NAME", help="The column of a CSV, or the key of JSON lines, with the text.")
]
Json = Annotated[bool, typer.Option("--json", help="The output is JSON anyway: one object on a line for each text.")]

Compute = Callable[["Model", Sequence[str]], list[dict[str, Any]]]


def run(
    bundle: Path, source: Source, task: str, compute: Compute, *, runtime: str, threads: int | None, context: int | None
) -> int:
    """Load a bundle, write a line for each text and return the exit code: 1 where a line could not be used."""
    import edgekit
    from edgekit.cli.progress import watch

    complaints = Complaints(source.path)
    with (
        source.open() as file,
        watch(brief=True) as progress,
        edgekit.load(bundle, runtime=runtime, threads=threads, context=context, progress=progress) as model,
    ):
        model.require(task)
        progress.start(task, source.size)
        try:
            records = source.records(file, complaints.tell, progress.advance)
            while chunk := list(islice(records, CHUNK)):
                for record, result in _results(model, compute, chunk, complaints):
                    sys.stdout.write(json.dumps({"line": record.line, **result}, ensure_ascii=False) + "\n")
                sys.stdout.flush()
        finally:
            progress.finish()
    return complaints.finish()


def _results(
    model: Model, compute: Compute, chunk: list[Record], complaints: Complaints
) -> Iterator[tuple[Record, dict[str, Any]]]:
    try:
        yield from zip(chunk, compute(model, [record.text for record in chunk]), strict=True)
    except SessionBusyError:
        raise
    except EdgekitError as error:
        # One text spoils the whole chunk: find out which.
        if len(chunk) == 1:
            complaints.tell(chunk[0].line, error.message)
            return
        for record in chunk:
            yield from _results(model, compute, [record], complaints)


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
            say(f"{self.count} lines of {self.path} were left out", "mend them, or go on without them")
        return 1 if self.count else 0

"""Does one thing with each text of a source and writes a JSON line for it as it goes: embed, classify and tag."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.cli import options
from edgekit.cli.records import Complaints, Record, Source
from edgekit.errors import EdgekitError, SessionBusyError

if TYPE_CHECKING:
    from edgekit.model import Model

CHUNK = 512
"""Texts taken at once: enough for batches of similar lengths, few enough to show results as they come."""

Compute = Callable[["Model", Sequence[str]], list[dict[str, Any]]]


def command_of(task: str, compute: Compute, summary: str) -> Callable[..., int]:
    """Return the command that writes what `compute` makes of each text; `summary` is its line of help."""

    def command(
        bundle: options.BundlePath,
        file: options.TextFile = "-",
        column: options.TextColumn = "text",
        form: options.InputForm = None,
        runtime: options.Runtime = "auto",
        threads: options.Threads = None,
        context: options.Context = None,
        memory_check: options.MemoryCheck = True,
        json: options.JsonLines = False,  # noqa: ARG001 - the output is JSON anyway
    ) -> int:
        source = Source.of(file, form, column)
        loading = {"runtime": runtime, "threads": threads, "context": context, "memory_check": memory_check}
        return _run(bundle, source, task, compute, loading)

    command.__doc__ = summary
    return command


def _run(bundle: Path, source: Source, task: str, compute: Compute, loading: dict[str, Any]) -> int:
    """Load a bundle, write a line for each text and return the exit code: 1 where a line could not be used."""
    import edgekit
    from edgekit.cli.progress import watch

    complaints = Complaints(source.path)
    with (
        source.open() as file,
        watch(brief=True) as progress,
        edgekit.load(bundle, progress=progress, **loading) as model,
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

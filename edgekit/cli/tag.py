"""`edgekit tag`: the labelled stretches of each text."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgekit.cli import each, options
from edgekit.cli.records import Source

if TYPE_CHECKING:
    from edgekit.model import Model


def command(
    bundle: options.BundlePath,
    file: each.Input = "-",
    column: each.Column = "text",
    form: each.Form = None,
    runtime: options.Runtime = "auto",
    threads: options.Threads = None,
    context: options.Context = None,
    json: each.Json = False,  # noqa: ARG001 - the output is JSON anyway
) -> int:
    """Write the labelled spans of each line of a file, with the characters they cover."""
    source = Source.of(file, form, column)
    return each.run(bundle, source, "tag", _compute, runtime=runtime, threads=threads, context=context)


def _compute(model: "Model", texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"spans": [dataclasses.asdict(span) for span in model.tag(text)]} for text in texts]

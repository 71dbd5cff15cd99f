"""`edgekit embed`: a vector for each text."""

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
    """Write a vector for each line of a file."""
    source = Source.of(file, form, column)
    return each.run(bundle, source, "embed", _compute, runtime=runtime, threads=threads, context=context)


def _compute(model: "Model", texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"vector": vector.tolist()} for vector in model.embed(texts)]

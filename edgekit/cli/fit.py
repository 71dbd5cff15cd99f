"""`edgekit fit`: a classifier of one's own, from a file of texts and their labels."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.classification.classifier import ACCURACY
from edgekit.cli import figures, options
from edgekit.cli.records import Complaints, Record, Source
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.classification.classifier import Classifier, Figures
    from edgekit.manifest import Manifest
    from edgekit.progress import Progress

CONFUSED = 10
"""Pairs of labels that are shown."""


def command(
    bundle: options.BundlePath,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV or JSON lines with texts and their labels.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder of the new bundle.")],
    column: options.TextColumn = "text",
    label: Annotated[
        str,
        typer.Option("--label", metavar="NAME", help="The column of a CSV, or the key of JSON lines, with the label."),
    ] = "label",
    form: options.InputForm = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="FILE", help="Texts and labels kept apart, to judge it by.")
    ] = None,
    accuracy: Annotated[
        float,
        typer.Option(
            "--accuracy", metavar="A", help="How often its labels should be right; where it is less sure, it abstains."
        ),
    ] = ACCURACY,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The bundle's name. (default: the folder's)")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output folder if it exists.")] = False,
    runtime: options.Runtime = "auto",
    threads: options.Threads = None,
    memory_check: options.MemoryCheck = True,
    json: options.Json = False,
) -> int:
    """Fit a classifier on labelled texts and write it as a bundle; one with labels of its own is calibrated."""
    import edgekit
    from edgekit.bundle import Bundle
    from edgekit.cli import tables
    from edgekit.cli.progress import watch

    began = time.perf_counter()
    sources = [Source.of(path, form, column, label) for path in (file, test) if path is not None]
    complaints = [Complaints(source.path) for source in sources]
    with watch(brief=True) as progress:
        texts, *kept = [_read(source, told, progress) for source, told in zip(sources, complaints, strict=True)]
    with watch() as progress:
        path = edgekit.fit(
            bundle, *_columns(texts), output, test=_columns(kept[0]) if kept else None, accuracy=accuracy,
            runtime=runtime, threads=threads, name=name, force=force, memory_check=memory_check,
            progress=progress,
        )  # fmt: skip
    elapsed = time.perf_counter() - began
    manifest = Bundle.open(path).manifest
    if json:
        tables.print_json({**_as_json(path, manifest), "seconds": elapsed})
    else:
        _show(path, manifest, accuracy, elapsed)
    return max(told.finish() for told in complaints)


def _read(source: Source, complaints: Complaints, progress: "Progress") -> list[Record]:
    with source.open() as file:
        progress.start(f"reading {source.path}", source.size)
        try:
            found = list(source.records(file, complaints.tell, progress.advance))
        finally:
            progress.finish()
    if not found:
        raise UsageError(f"{source.path} has no line with a text and a label", "give texts, each with its label")
    return found


def _columns(records: list[Record]) -> tuple[list[str], list[str]]:
    return [record.text for record in records], [record.label for record in records]


def _as_json(path: Path, manifest: "Manifest") -> dict[str, Any]:
    entry = manifest.to_json()["classifier"]
    return {"path": str(path), "name": manifest.name, "labels": list(manifest.labels), **entry}


def _show(path: Path, manifest: "Manifest", accuracy: float, elapsed: float) -> None:
    from edgekit.cli import describe, tables

    entry = manifest.classifier
    assert entry is not None
    for measured, found in entry.figures.items():
        print()
        tables.print_facts(describe.MEASURED[measured], describe.figures_facts(found, manifest.labels))
    shown = entry.figures.get("test") or next(iter(entry.figures.values()))
    if rows := _confused(shown):
        print()
        tables.print_table("Most confused", ("label", "taken for", "texts", "of"), rows, right=(2, 3))
    print()
    facts = [
        ("labels", describe.labels_in_words(manifest.labels)),
        ("formats", ", ".join(manifest.formats)),
        ("abstains", _abstention(entry, accuracy)),
        ("time", figures.seconds(elapsed)),
    ]
    tables.print_facts(f"Wrote {path}", facts)
    print(f"\nTry it:  echo A text. | edgekit classify {shlex.quote(str(path))}")


def _abstention(entry: "Classifier", accuracy: float) -> str:
    learned = next(iter(entry.figures.values()))
    if learned.answered_accuracy is None or learned.answered_accuracy < accuracy:
        return f"below {entry.threshold:.3f}; no threshold makes {accuracy:.1%} right: more texts may help"
    return f"below {entry.threshold:.3f}" if entry.threshold else "never"


def _confused(found: "Figures") -> list[tuple[str, str, str, str]]:
    """Return the pairs of labels that are confused most often, with how many texts the label has."""
    totals: dict[str, int] = {}
    for pair in found.confusions:
        totals[pair.label] = totals.get(pair.label, 0) + pair.count
    wrong = sorted((pair for pair in found.confusions if pair.label != pair.predicted), key=lambda pair: -pair.count)
    return [(pair.label, pair.predicted, f"{pair.count:,}", f"{totals[pair.label]:,}") for pair in wrong[:CONFUSED]]

"""`edgekit index`: documents into a knowledge base."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli import knowledge, options
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.knowledge import Added, KnowledgeBase


def command(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="KB", help="The folder of the knowledge base; it is made if need be."),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILES...", help="Text, Markdown or HTML in UTF-8, or folders of them.", show_default=False
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            "--encoder", metavar="BUNDLE", help="A bundle that embeds; a new knowledge base keeps a copy of it."
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take these documents out instead.")] = False,
    runtime: options.Runtime = "auto",
    threads: options.Threads = None,
    memory_check: options.MemoryCheck = True,
    json: options.Json = False,
) -> int:
    """Add documents to a knowledge base. Those that have not changed are not embedded again; changed ones are replaced.

    Files that cannot be read are told and left out; the exit code is 1 then.
    """
    from edgekit.cli import tables
    from edgekit.cli.errors import say
    from edgekit.cli.progress import watch
    from edgekit.knowledge import Added, KnowledgeBase

    there = output.is_dir() and any(output.iterdir())
    if not there and (encoder is None or remove or not files):
        problem = "give files" if encoder is not None and not remove else "give --encoder BUNDLE to make one"
        raise UsageError(f"{output}: there is no knowledge base", problem)
    if remove and not files:
        raise UsageError("--remove needs the names of documents", "give them as they were indexed")
    loading: dict[str, Any] = {"runtime": runtime, "threads": threads, "memory_check": memory_check}
    with watch(brief=True) as progress:
        if there:
            base = KnowledgeBase.open(output, encoder, progress=progress, **loading)
        else:
            assert encoder is not None
            base = KnowledgeBase.create(output, encoder, progress=progress, **loading)
        with base:
            removed = base.remove(*files or ()) if remove else []
            result = Added() if remove else base.add(*files or (), progress=progress)
            data = _data(base, result, removed)
    for refused in result.refused:
        say(refused.problem, refused.hint)
    missing = sorted({*(files or ())} - {*removed}) if remove else []
    for name in missing:
        say(f"{name}: there is no such document", "give names as edgekit search shows them")
    if json:
        tables.print_json(data)
    else:
        _show(data)
    return 1 if result.refused or missing else 0


def _data(base: "KnowledgeBase", result: "Added", removed: list[str]) -> dict[str, Any]:
    return {
        "path": str(base.folder),
        "encoder": base.encoder.bundle.manifest.name,
        "documents": len(base.documents()),
        "chunks": base.chunks,
        "embedded_chunks": result.chunks,
        "added": result.added,
        "replaced": result.replaced,
        "unchanged": result.unchanged,
        "removed": removed,
        "refused": [{"name": each.name, "problem": each.problem, "hint": each.hint} for each in result.refused],
        "faiss": base.indexed,
    }


def _show(data: dict[str, Any]) -> None:
    from edgekit.cli import tables

    changes = [
        f"{len(data[what])} {what}" for what in ("added", "replaced", "unchanged", "removed", "refused") if data[what]
    ]
    tables.print_facts(
        knowledge.printable(data["path"]),
        [
            ("documents", f"{data['documents']:,}" + (f" ({', '.join(changes)})" if changes else "")),
            ("chunks", f"{data['chunks']:,} ({data['embedded_chunks']:,} embedded now)"),
            ("encoder", data["encoder"]),
            ("searched by", "Faiss" if data["faiss"] else "looking at every vector"),
        ],
    )

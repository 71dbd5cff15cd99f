"""`edgekit search`: the passages that fit a query."""

from typing import Annotated

import typer

from edgekit.cli import knowledge, options, reading


def command(
    folder: knowledge.BasePath,
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY", help="What to look for, or - to read it from standard input.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Passages at most.")] = 8,
    encoder: knowledge.Encoder = None,
    runtime: options.Runtime = "auto",
    threads: options.Threads = None,
    memory_check: options.MemoryCheck = True,
    json: options.Json = False,
) -> None:
    """Show the passages of a knowledge base that fit a query best, by meaning and by words."""
    from edgekit.cli import tables

    text = reading.read_prompt(query)
    with knowledge.opened(folder, encoder, threads=threads, runtime=runtime, memory_check=memory_check) as (base, _):
        passages = base.search(text, limit)
    if json:
        tables.print_json({"query": text, "passages": [knowledge.passage_json(passage) for passage in passages]})
    elif passages:
        knowledge.print_passages(passages)
    else:
        print("The knowledge base is empty.")

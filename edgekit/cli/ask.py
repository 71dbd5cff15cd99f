"""`edgekit ask`: an answer from a knowledge base, with its sources."""

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli import knowledge, options, reading


def command(
    folder: knowledge.BasePath,
    model: Annotated[
        Path, typer.Option("--model", metavar="BUNDLE", help="A bundle that generates text: it words the answer.")
    ],
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION", help="The question, or - to read it from standard input.", show_default=False
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="SCORE",
            help="Say that nothing is known where no passage has this score. (default: the knowledge base's)",
        ),
    ] = None,
    passages: Annotated[
        int, typer.Option("--passages", metavar="N", min=1, help="Passages that the model is given at most.")
    ] = 3,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="Tokens of the answer at most.")
    ] = 160,
    encoder: knowledge.Encoder = None,
    runtime: options.Runtime = "auto",
    threads: options.Threads = None,
    context: options.Context = None,
    memory_check: options.MemoryCheck = True,
    json: options.Json = False,
) -> None:
    """Answer a question from a knowledge base and show the sources; say so where it knows nothing about it."""
    import edgekit
    from edgekit.cli import tables

    text = reading.read_prompt(question)
    with (
        knowledge.opened(folder, encoder, threads=threads, memory_check=memory_check) as (base, progress),
        edgekit.load(
            model, runtime=runtime, threads=threads, context=context, memory_check=memory_check, progress=progress
        ) as speaker,
    ):
        answer = base.ask(
            text, speaker, threshold=threshold, passages=passages, max_tokens=max_tokens, progress=progress
        )
    if json:
        tables.print_json(
            {
                "question": text,
                "text": answer.text,
                "wording": answer.wording,
                "declined": answer.declined,
                "score": answer.score,
                "threshold": answer.threshold,
                "sources": [knowledge.passage_json(passage) for passage in answer.sources],
            }
        )
        return
    print(knowledge.printable(answer.text))
    if answer.sources:
        print()
        for passage in answer.sources:
            print(f"  {knowledge.place(passage)}  {knowledge.path_of(passage)}")

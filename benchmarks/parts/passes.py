"""What a forward pass of k tokens costs, relative to one token: what guessing ahead can gain at most.

The pass is behind a prompt and gives the logits of all its tokens, as checking guesses needs them. "Another size" is
what a pass costs more when the one before it had another number of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from comparisons import LARGE, OURS, SMALL, Work
from part import Options, Row, Table
from worker import Engine, Setting, Worker

from edgekit.cli.measuring import PASSES
from edgekit.machine import physical_cores

ORDER = 25
MODELS = ((SMALL, "int8"), (SMALL, "int4"), (LARGE, "int4"))


def measure(options: Options) -> Iterator[Row]:
    """Yield the costs on each runtime."""
    for work, quantize in MODELS:
        if work.model in options.models:
            for engine in OURS.values():
                yield _measure(work, quantize, engine, options)


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of costs."""
    lines = [
        (
            row["model"],
            row["runtime"],
            *(f"{cost['median']:.2f} ({cost['low']:.2f} – {cost['high']:.2f})" for cost in row["costs"].values()),
        )
        for row in rows
    ]
    header = ("model", "runtime", *(f"{tokens} tokens" for tokens in PASSES), "another size")
    title = "Cost of a pass relative to one token, behind a prompt, with the logits of all its tokens"
    return [Table(title, header, lines, right=tuple(range(2, len(header))))]


def _measure(work: Work, quantize: str, engine: Engine, options: Options) -> Row:
    threads = options.threads or physical_cores()
    setting = Setting(
        model=work.model, quantize=quantize, context=work.context, prompt_tokens=work.prompt_tokens,
        new_tokens=max(PASSES), threads=threads,
    )  # fmt: skip
    with closing(Worker(engine, setting)) as worker:
        costs = worker.ask(passes=options.rounds, prompt_tokens=work.prompt_tokens, clock=options.clock)
    return {
        "name": f"{work.model} {quantize} on {engine.name}", "model": f"{work.model} {quantize}",
        "runtime": engine.name, "threads": threads, "clock": options.clock, "costs": costs, "met": None,
    }  # fmt: skip

"""What a forward pass of k tokens costs, relative to one token: what guessing ahead can gain at most.

The pass is behind a prompt and gives the logits of all its tokens, as checking guesses needs them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

import numpy as np
from bundles import bundle
from comparisons import LARGE, OURS, SMALL, Work
from part import Options, Row, Table
from worker import Engine, Setting, Worker

from edgekit.bundle import Bundle
from edgekit.cli.statistics import measured
from edgekit.machine import physical_cores

ORDER = 25
TOKENS = (1, 2, 4, 8, 16)
REPEATS = 3
"""Turns within a round: its figure is the ratio of their sums."""
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
            *(
                f"{cost['median']:.2f} ({cost['low']:.2f} – {cost['high']:.2f})"
                for cost in (row["costs"][str(tokens)] for tokens in TOKENS[1:])
            ),
        )
        for row in rows
    ]
    header = ("model", "runtime", *(f"{tokens} tokens" for tokens in TOKENS[1:]))
    title = "Cost of a pass relative to one token, behind a prompt, with the logits of all its tokens"
    return [Table(title, header, lines, right=tuple(range(2, len(header))))]


def _measure(work: Work, quantize: str, engine: Engine, options: Options) -> Row:
    threads = options.threads or physical_cores()
    setting = Setting(
        model=work.model, quantize=quantize, context=work.context, prompt_tokens=work.prompt_tokens,
        new_tokens=max(TOKENS), threads=threads,
    )  # fmt: skip
    vocabulary = Bundle.open(bundle(work.model, quantize, work.context)).manifest.spec.vocab_size
    prompt = np.random.default_rng(1).integers(0, vocabulary, work.prompt_tokens).tolist()
    ratios: dict[int, list[float]] = defaultdict(list)
    with closing(Worker(engine, setting)) as worker:
        for number in range(options.rounds + 1):
            seconds: dict[int, float] = defaultdict(float)
            for repeat in range(REPEATS):
                found = worker.ask(prompt=prompt, passes=TOKENS[:: 1 if repeat % 2 else -1])
                for tokens in TOKENS:
                    seconds[tokens] += found[str(tokens)][options.clock]
            if number:  # in the first round engines allocate and page in
                for tokens in TOKENS:
                    ratios[tokens].append(seconds[tokens] / seconds[1])
    costs = {str(tokens): vars(measured(values)) for tokens, values in ratios.items()}
    return {
        "name": f"{work.model} {quantize} on {engine.name}", "model": f"{work.model} {quantize}",
        "runtime": engine.name, "threads": threads, "clock": options.clock, "costs": costs, "met": None,
    }  # fmt: skip

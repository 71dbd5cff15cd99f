"""Vectors of texts, one at a time and many of mixed lengths, beside sentence-transformers and plain ONNX Runtime.

All compute all-MiniLM-L6-v2 for the same texts with the same number of threads. Plain ONNX Runtime is what fastembed
does: the graph that torch exports, run on batches in the order of the texts, padded to the longest one.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
from bundles import FORMATS, bundle
from environments import SENTENCE_TRANSFORMERS
from part import Options, Row, Table, verdict
from peer_models import sentence_transformers_folder, torch_onnx
from setting import Noise, shared
from worker import Engine, Setting, Worker

from edgekit.cli.statistics import measured
from edgekit.machine import physical_cores

ORDER = 40
MODEL, CONTEXT = "minilm", 256
PHASES = ("one by one", "many")
QUERIES = 30
"""Texts that a round computes one by one."""
PARTS = {1: 120, 3: 60, 8: 20}
"""How many texts of a round are made of so many tickets: 4 to about 150 tokens, most of them short."""
SENTENCES = "sentence-transformers"
PLAIN = "plain ONNX Runtime"


@dataclass(frozen=True)
class Pair:
    """A ratio of speeds, and what is asked of it in each phase; None: it is only shown."""

    ours: str
    peer: str
    one_by_one: float | None
    many: float | None


def _ours(runtime: str) -> Engine:
    return Engine(
        name=runtime,
        worker="texts_ours.py",
        arguments=lambda s: [bundle(s.model, s.quantize, s.context), runtime, s.context, s.threads],
    )


ENGINES = (
    *map(_ours, FORMATS),
    Engine(
        name=PLAIN,
        worker="texts_onnxruntime.py",
        arguments=lambda s: [torch_onnx(s.quantize), sentence_transformers_folder(), s.context, s.threads],
    ),
    Engine(
        name=SENTENCES,
        worker="texts_sentence_transformers.py",
        environment=SENTENCE_TRANSFORMERS,
        arguments=lambda s: [sentence_transformers_folder(), s.context, s.threads],
    ),
)
"""sentence-transformers computes in float32, also beside int8."""


def pairs(quantize: str) -> list[Pair]:
    """Return what is compared at a precision."""
    wanted = 1.2 if quantize == "none" else 2.0
    return [*(Pair(runtime, SENTENCES, None, wanted) for runtime in FORMATS), Pair("onnx", PLAIN, 1.0, 1.0)]


def measure(options: Options) -> Iterator[Row]:
    """Yield ratios and medians by precision, phase and engine."""
    if MODEL not in options.models:
        return
    for quantize in ("none", "int8"):
        yield from _measure(quantize, options)


def tables(rows: list[Row]) -> list[Table]:
    """Return a table of ratios, and one of all engines."""
    ratios, medians = [row for row in rows if "ratio" in row], [row for row in rows if "engine" in row]
    if not ratios:
        return []
    first = ratios[0]
    setting = f"{first['threads']} threads, {first['clock']} time, {first['rounds']} rounds"
    lines = [
        (
            row["quantize"], row["phase"], f"{row['ours']} / {row['peer']}", f"{row['ratio']['median']:.2f}",
            f"{row['ratio']['low']:.2f} – {row['ratio']['high']:.2f}",
            "" if row["target"] is None else f"{row['target']}", verdict(row),
        )
        for row in ratios
    ]  # fmt: skip
    notes = tuple(dict.fromkeys(f"The machine was {row['noise']} ({row['quantize']})." for row in ratios))
    header = ("precision", "texts", "engines", "ratio", "95 % interval", "target", "")
    speeds = [
        (
            row["quantize"], row["engine"], f"{1e3 / row['one by one']:.1f} ms", f"{row['many']:.0f} texts/s",
        )
        for row in medians
    ]  # fmt: skip
    return [
        Table(f"Speed of embedding within a round: {setting}", header, lines, right=(3, 4, 5), notes=notes),
        Table(f"Medians: {setting}", ("precision", "engine", "one query", "many texts"), speeds, right=(2, 3)),
    ]


def texts_of(round_number: int) -> list[str]:
    """Return a round's texts, of mixed lengths and in an order of chance; no two rounds have the same."""
    with (shared() / "data" / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        tickets = [row["text"].strip() for row in csv.DictReader(file)]
    rng = np.random.default_rng(round_number)
    made = [" ".join(rng.choice(tickets, parts)) for parts, count in PARTS.items() for _ in range(count)]
    return [str(made[place]) for place in rng.permutation(len(made))]


def _measure(quantize: str, options: Options) -> Iterator[Row]:
    threads = options.threads or physical_cores()
    setting = Setting(
        model=MODEL, quantize=quantize, context=CONTEXT, prompt_tokens=0, new_tokens=0, threads=threads
    )  # fmt: skip
    noise = Noise()
    rates = _rates(setting, options, noise)
    common = {"quantize": quantize, "threads": threads, "clock": options.clock, "rounds": options.rounds}
    for pair in pairs(quantize):
        for phase, target in zip(PHASES, (pair.one_by_one, pair.many), strict=True):
            ours, peer = rates[pair.ours][phase], rates[pair.peer][phase]
            ratio = measured([a / b for a, b in zip(ours, peer, strict=True)])
            yield {
                **common, "name": f"{quantize}: {phase}, {pair.ours} / {pair.peer}", "phase": phase,
                "ours": pair.ours, "peer": pair.peer, "ratio": vars(ratio), "target": target,
                "met": None if target is None else ratio.high >= target, "noise": noise.summary(),
            }  # fmt: skip
    for engine, found in rates.items():
        medians = {phase: measured(values).median for phase, values in found.items()}
        yield {**common, "name": f"{quantize}: {engine}", "engine": engine, **medians, "met": None}


def _rates(setting: Setting, options: Options, noise: Noise) -> dict[str, dict[str, list[float]]]:
    """Return texts per second of each round, by engine and phase."""
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        workers = [stack.enter_context(closing(Worker(engine, setting))) for engine in ENGINES]
        for number in range(options.rounds + 1):
            noise.measure()
            texts = texts_of(number)
            for worker in workers[:: 1 if number % 2 else -1]:
                found = worker.ask(texts=texts, queries=QUERIES)
                if number:  # in the first round engines allocate and page in
                    rates[worker.name][PHASES[0]].append(QUERIES / found[PHASES[0]][options.clock])
                    rates[worker.name][PHASES[1]].append(len(texts) / found[PHASES[1]][options.clock])
    return rates

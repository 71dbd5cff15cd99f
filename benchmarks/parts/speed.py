"""Prefill and decode of EdgeKit beside onnxruntime-genai's own generator, on the same bundle, prompts and threads.

Each engine has a process of its own that waits while the other works. A round is a prefill of each and then short
blocks of decode steps by turns, so that a busy moment of the machine falls on both; figures are ratios within a round.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bundles import bundle
from environments import GENAI
from part import Options, Row, Table, verdict
from setting import Noise

from edgekit.bundle import Bundle
from edgekit.cli import figures
from edgekit.cli.statistics import measured
from edgekit.machine import physical_cores

ORDER = 20
HERE = Path(__file__).resolve().parent.parent
TARGET = 0.95
BLOCK = 32
"""Decode steps of one engine before it is the other's turn."""
SETTLE_SECONDS = 0.2
"""Waited before each turn: the other engine's threads spin for a while after their last step."""


@dataclass(frozen=True)
class Plan:
    """What a round of a model consists of."""

    model: str
    prompt_tokens: int
    new_tokens: int
    context: int = 1024


PLANS = (Plan("smollm2", 512, 128), Plan("phi3", 256, 32))


class Worker:
    """An engine in a process of its own."""

    def __init__(self, name: str, python: str, path: Path, plan: Plan, threads: int, clock: str) -> None:
        command = [python, str(HERE / f"{name}_worker.py"), str(path), str(plan.context), str(threads)]
        self.name, self._clock = name, clock
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def prefill(self, prompt: list[int]) -> float:
        """Compute a prompt in an empty cache, up to its first token; return tokens per second."""
        return self._rate({"prefill": prompt})

    def decode(self, steps: int) -> float:
        """Go on by greedy steps; return tokens per second."""
        return self._rate({"decode": steps})

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(60)

    def _rate(self, request: dict[str, Any]) -> float:
        assert self._process.stdin is not None
        time.sleep(SETTLE_SECONDS)
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return float(answer["steps"] / answer[self._clock])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.name} worker ended with {self._process.wait()}")
        return json.loads(line)


def measure(options: Options) -> Iterator[Row]:
    """Yield, by model and phase, both engines' medians and the ratio with its interval."""
    for plan in PLANS:
        if plan.model in options.models:
            yield from _measure(plan, options.rounds, options.threads or physical_cores(), options.clock)


def tables(rows: list[Row]) -> list[Table]:
    """Return a table for each setting that rows were measured with."""
    by_setting: dict[tuple[int, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        by_setting[row["threads"], row["clock"], row["ratio"]["rounds"]].append(row)
    return [_table(*setting, found) for setting, found in by_setting.items()]


def _table(threads: int, clock: str, rounds: int, rows: list[Row]) -> Table:
    lines = [
        (
            f"{row['name']} {row['prompt_tokens' if row['phase'] == 'prefill' else 'new_tokens']}",
            *(figures.rate(row["tokens_per_second"][name]) for name in ("edgekit", "genai")),
            f"{row['ratio']['median']:.3f}",
            f"{row['ratio']['low']:.3f} – {row['ratio']['high']:.3f}",
            f"{row['target']}",
            verdict(row),
        )
        for row in rows
    ]
    noise = {row["model"]: row["noise"] for row in rows}
    return Table(
        f"int4 on onnxruntime, {threads} threads, {clock} time, {rounds} rounds",
        ("model", "edgekit", "genai", "ratio", "95 % interval", "target", ""),
        lines,
        right=(1, 2, 3, 4, 5),
        notes=tuple(f"The machine while {model} ran was {said}." for model, said in noise.items()),
    )


def _measure(plan: Plan, rounds: int, threads: int, clock: str) -> Iterator[Row]:
    path, noise = bundle(plan.model, "int4"), Noise()
    vocabulary = Bundle.open(path).manifest.spec.vocab_size
    prompts = np.random.default_rng(1).integers(0, vocabulary, (rounds + 1, plan.prompt_tokens)).tolist()
    python = {"edgekit": sys.executable, "genai": GENAI.python()}
    workers = [Worker(name, python[name], path, plan, threads, clock) for name in python]
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    for number, prompt in enumerate(prompts):
        noise.measure()
        for phase, found in _round(workers if number % 2 else workers[::-1], prompt, plan.new_tokens).items():
            if number == 0:
                continue  # engines allocate and page in
            for name, rate in found.items():
                rates[name, phase].append(rate)
            ratios[phase].append(found["edgekit"] / found["genai"])
    for worker in workers:
        worker.close()
    for phase, values in ratios.items():
        ratio = measured(values)
        medians = {name: measured(rates[name, phase]).median for name in python}
        yield {
            "name": f"{plan.model} {phase}", "model": plan.model, "phase": phase, "threads": threads, "clock": clock,
            "prompt_tokens": plan.prompt_tokens, "new_tokens": plan.new_tokens, "tokens_per_second": medians,
            "ratio": vars(ratio), "target": TARGET, "met": ratio.high >= TARGET, "noise": noise.summary(),
        }  # fmt: skip


def _round(workers: list[Worker], prompt: list[int], new_tokens: int) -> dict[str, dict[str, float]]:
    """Return tokens per second by phase and engine."""
    prefill = {worker.name: worker.prefill(prompt) for worker in workers}
    seconds: dict[str, float] = defaultdict(float)
    blocks = new_tokens // BLOCK
    for block in range(blocks):
        for worker in workers if block % 2 else workers[::-1]:
            seconds[worker.name] += BLOCK / worker.decode(BLOCK)
    return {"prefill": prefill, "decode": {name: blocks * BLOCK / value for name, value in seconds.items()}}

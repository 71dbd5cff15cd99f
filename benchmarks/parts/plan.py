"""What `edgekit plan` says of this machine, by a model's config alone, beside what `edgekit bench` then measures.

The machine's bandwidth is measured before and after each model and runtime. Where the two, or the rounds within one of
them, differ by more than a tenth, something else was at work: speeds are shown then, and judged by nobody.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundles import FORMATS, bundle, source
from part import Options, Row, Table, verdict
from setting import CACHE

from edgekit.cli import figures
from edgekit.folders import CACHE_VARIABLE
from edgekit.machine import physical_cores
from edgekit.planning.devices import THIS
from edgekit.planning.machine_speed import measure as measure_machine
from edgekit.planning.plan import plan

ORDER = 17
MEMORY, SPEED = 0.15, 0.25
"""How far off a prediction may be, as a share of what is measured."""
STEADY = 0.1
"""How far the machine's bandwidths may be apart, as a share of the larger."""


@dataclass(frozen=True)
class Work:
    """A model, and how it is used: the prompt and the answer fill its context."""

    model: str
    quantize: str
    prompt_tokens: int
    new_tokens: int
    rounds: int
    """At most."""

    @property
    def context(self) -> int:
        """Tokens of both."""
        return self.prompt_tokens + self.new_tokens

    def __str__(self) -> str:
        return f"{self.model} {self.quantize}"


WORKS = (
    Work("smollm2", "int8", 512, 128, 9),
    Work("smollm2", "int4", 512, 128, 9),
    Work("phi3", "int4", 512, 128, 3),
)


def measure(options: Options) -> Iterator[Row]:
    """Yield the memory and both speeds of each model on each runtime."""
    for work in WORKS:
        if work.model in options.models:
            for runtime in FORMATS:
                yield from _measure(work, runtime, min(work.rounds, options.rounds))


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table."""
    lines = [
        (
            row["model"],
            row["runtime"],
            row["what"],
            _words(row["what"], row["predicted"]),
            _words(row["what"], row["measured"]),
            f"{row['predicted'] / row['measured'] - 1:+.0%}",
            f"{row['allowed']:.0%}",
            "" if row["what"] == "memory" else f"{row['before'] / 1e9:.1f} / {row['after'] / 1e9:.1f} GB/s",
            "machine not steady" if row["met"] is None else verdict(row),
        )
        for row in rows
    ]
    header = ("model", "runtime", "what", "planned", "measured", "off", "at most", "bandwidth before / after", "")
    title = "edgekit plan, by the config alone, beside edgekit bench"
    return [Table(title, header, lines, right=(3, 4, 5, 6, 7))]


def _measure(work: Work, runtime: str, rounds: int) -> Iterator[Row]:
    path = bundle(work.model, work.quantize, work.context)
    _load(path, runtime, work)
    planned = plan(
        _config(work.model), THIS, to=[runtime], runtime=runtime, quantize=work.quantize, context=work.context
    )
    found = _bench(path, runtime, work, rounds=max(3, rounds))
    again = measure_machine(physical_cores())
    before, after = planned.on.bandwidth, again.bandwidth
    noise = max(planned.on.noise or 0.0, again.noise)
    expected = planned.runtimes[0]
    pairs = {
        "memory": (expected.memory.total, found["peak_memory"]),
        **{part: (expected.speeds[part], found[f"{part}_tokens_per_second"]["median"]) for part in expected.speeds},
    }
    steady = max(noise, abs(before - after) / max(before, after)) <= STEADY
    for what, (predicted, measured) in pairs.items():
        allowed = MEMORY if what == "memory" else SPEED
        near = abs(predicted - measured) <= allowed * measured
        yield {
            "name": f"{work} on {runtime}: {what}", "model": str(work), "runtime": runtime, "what": what,
            "predicted": predicted, "measured": measured, "allowed": allowed, "before": before, "after": after,
            "flops": planned.on.flops, "noise": noise, "met": near if steady or what == "memory" else None,
        }  # fmt: skip


def _config(model: str) -> str:
    """Return a model's source without its weights, where they are files of their own."""
    whole = Path(source(model))
    if not whole.is_dir():
        return source(model)
    alone = CACHE / f"{whole.name}-config"
    alone.mkdir(exist_ok=True)
    (alone / "config.json").write_bytes((whole / "config.json").read_bytes())
    return str(alone)


def _load(path: Path, runtime: str, work: Work) -> None:
    """Load once: a first load keeps what later ones find, and needs more memory; part "load" is about that."""
    code = "import sys, edgekit; edgekit.load(sys.argv[1], runtime=sys.argv[2], context=int(sys.argv[3])).close()"
    command = [sys.executable, "-c", code, str(path), runtime, str(work.context)]
    subprocess.run(command, env={**os.environ, CACHE_VARIABLE: str(CACHE)}, check=True)


def _bench(path: Path, runtime: str, work: Work, *, rounds: int) -> Mapping[str, Any]:
    command = [
        *(sys.executable, "-m", "edgekit", "bench", str(path), "--runtime", runtime, "--json"),
        *(f"--context={work.context}", f"--prompt-tokens={work.prompt_tokens}", f"--new-tokens={work.new_tokens}"),
        f"--rounds={rounds}",
    ]
    environment = {**os.environ, CACHE_VARIABLE: str(CACHE)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _words(what: str, value: float) -> str:
    return figures.size(value) if what == "memory" else figures.rate(value)

"""What a part of the benchmarks is: a module of `parts/`, found by its name.

It has `ORDER` (smaller numbers run first), `measure(options)`, which yields a row for each thing measured, and
`tables(rows)`, which says how they are shown. A row is what `results.json` keeps of one measurement: beside the figures
its "name", which no other row of the part has, and "met": whether it met its target, None where it has none.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

MODELS = ("smollm2", "phi3", "minilm")
Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What `run.py` was asked for."""

    models: tuple[str, ...] = MODELS
    rounds: int = 9
    """Interleaved rounds of what is timed."""
    threads: int | None = None
    """Threads of every engine; None for the physical cores."""
    clock: str = "wall"
    """"wall", or "processor": with one thread it says on a busy machine, too, what each engine computes."""


@dataclass(frozen=True)
class Table:
    """Rows as people read them, on a terminal or in a document."""

    title: str
    header: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]
    right: tuple[int, ...] = ()
    """The columns that hold numbers, by index."""
    notes: tuple[str, ...] = ()
    """Sentences below it: how it was measured, how busy the machine was."""


class Part(Protocol):
    """What a module of `parts/` gives."""

    ORDER: int

    def measure(self, options: Options) -> Iterator[Row]:
        """Measure, and yield each row as soon as it is known: it is kept if a later one fails."""
        ...

    def tables(self, rows: list[Row]) -> list[Table]:
        """Return the tables of rows that were measured, now or in an earlier run, of all models or some."""
        ...


def parts() -> dict[str, Part]:
    """Return every part by its name, in the order in which they run."""
    folder = Path(__file__).resolve().parent / "parts"
    names = [path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")]
    found = {name: cast("Part", importlib.import_module(f"parts.{name}")) for name in names}
    return dict(sorted(found.items(), key=lambda item: (item[1].ORDER, item[0])))


def verdict(row: Row) -> str:
    """Return the last column of a row: whether it met its target, nothing where it has none."""
    return "" if row["met"] is None else "pass" if row["met"] else "fail"

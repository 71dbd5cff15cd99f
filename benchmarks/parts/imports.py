"""How long `import edgekit` takes beside `import numpy`, and what a program that loads a model imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from part import Options, Row, Table, verdict

from edgekit.cli import figures
from edgekit.cli.statistics import measured

ORDER = 12
TARGETS = {"import edgekit": 1.5, "import edgekit; edgekit.load": None}
"""At most so many times what numpy takes."""
BESIDE = "import numpy"
CODE = "import time; began = time.process_time(); {}; print(time.process_time() - began)"


def measure(options: Options) -> Iterator[Row]:
    """Yield what each import takes relative to numpy's of the same round, in processor time of a fresh process."""
    taken: dict[str, list[float]] = {code: [] for code in (BESIDE, *TARGETS)}
    for number in range(options.rounds + 1):
        for code, seconds in taken.items():
            found = _seconds(code)
            if number:  # the first time, files come from the disk and are compiled
                seconds.append(found)
    for code, target in TARGETS.items():
        yield row(code, taken[code], taken[BESIDE], target)


def row(code: str, seconds: list[float], beside: list[float], target: float | None) -> dict[str, Any]:
    """Return the row of an import: a target is missed only if the whole interval lies above it."""
    ratio = measured([ours / theirs for ours, theirs in zip(seconds, beside, strict=True)])
    return {
        "name": code, "seconds": measured(seconds).median, "numpy_seconds": measured(beside).median,
        "ratio": vars(ratio), "target": target, "met": None if target is None else ratio.low <= target,
    }  # fmt: skip


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of imports."""
    lines = [
        (
            f"`{row['name']}`",
            figures.seconds(row["seconds"]),
            figures.seconds(row["numpy_seconds"]),
            f"{row['ratio']['median']:.2f} ({row['ratio']['low']:.2f} – {row['ratio']['high']:.2f})",
            "" if row["target"] is None else f"{row['target']:.1f}",
            verdict(row),
        )
        for row in rows
    ]
    header = ("code", "time", "numpy alone", "ratio (95 %)", "at most", "")
    return [Table("Imports, processor time in fresh processes", header, lines, right=(1, 2, 3, 4))]


def _seconds(code: str) -> float:
    done = subprocess.run(
        [sys.executable, "-I", "-c", CODE.format(code)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)

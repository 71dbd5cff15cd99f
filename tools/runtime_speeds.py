"""Put what a machine's runtimes can do into the table that runtime="auto" decides by.

    edgekit bench BUNDLE --runtime all --json > measured.json
    python tools/runtime_speeds.py --source "SmolLM2-135M, Raspberry Pi 5, 4 threads" BUNDLE measured.json

BUNDLE is the one that was measured, on the machine where this runs. A line of the table for the same kind of processor,
task, quantization and nearly the same size is replaced.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from edgekit.bundle import Bundle
from edgekit.cli.comparing import measurement_of
from edgekit.speeds import TABLE, Capacity, Measurement, read_table

NEARLY = 1.25
"""Sizes that differ by less stand for the same model."""


def main() -> None:
    """Read the arguments and rewrite the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--source", required=True, help="the model, the machine, its threads")
    parser.add_argument("--passes", action="store_true", help="keep the speeds of the line that is replaced")
    arguments = parser.parse_args()
    comparison = json.loads(arguments.measured.read_text(encoding="utf-8"))
    capacity = Capacity(**comparison["capacity"])
    new = measurement_of(Bundle.open(arguments.bundle), comparison["runtimes"], arguments.source, capacity)
    add(new, only_passes=arguments.passes)


def add(new: Measurement, path: Path = TABLE, *, only_passes: bool = False) -> None:
    """Put a measurement, or only what it says of passes, into the table, in the place of one of the same kind."""
    table = read_table(path)
    if only_passes:
        new = next(dataclasses.replace(entry, passes=new.passes) for entry in table.measured if _same(entry, new))
    kept = [entry for entry in table.measured if not _same(entry, new)]
    measured = sorted([*kept, new], key=lambda entry: (entry.cpu, entry.task, entry.quantization, entry.size))
    data = dataclasses.asdict(dataclasses.replace(table, measured=tuple(measured)))
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _same(a: Measurement, b: Measurement) -> bool:
    kinds = {(entry.cpu, entry.task, entry.quantization) for entry in (a, b)}
    return len(kinds) == 1 and max(a.size, b.size) < NEARLY * min(a.size, b.size)


if __name__ == "__main__":
    main()

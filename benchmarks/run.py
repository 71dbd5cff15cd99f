"""`make bench`: run the parts of the benchmarks in order, keep their rows, and say plainly what is missed.

It needs a package index (for the real models and the peers), 40 GB of disk under the cache folder and a quiet machine.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from part import MODELS, Options, Part, parts, verdict
from results import Results
from setting import CACHE

from edgekit.cli.tables import print_table


def main() -> int:
    found = parts()
    chosen = _options(list(found))
    options = Options(tuple(chosen.model or MODELS), chosen.rounds, chosen.threads, chosen.clock)
    results = Results.open(chosen.results)
    missed = []
    for name in chosen.only or found:
        missed += _run(name, found[name], options, results)
    print(f"Rows are in {chosen.results}: `python benchmarks/report.py {chosen.results}` publishes them.")
    print("Every target is met." if not missed else "MISSED: " + "; ".join(missed))
    return 1 if missed else 0


def _run(name: str, part: Part, options: Options, results: Results) -> list[str]:
    """Run a part, show its tables and return what it missed; a part that breaks is missed, and the others still run."""
    rows, missed = [], []
    try:
        for row in part.measure(options):
            rows.append(row)
            results.add(name, row)
        if options.models == MODELS:
            results.keep(name, [row["name"] for row in rows])
    except Exception as error:  # noqa: BLE001 - hours of other parts are not lost for this one
        traceback.print_exc()
        missed.append(f"{name}: {type(error).__name__}")
    for table in part.tables(rows) if rows else []:
        print_table(table.title, table.header, table.lines, right=table.right)
        print(*table.notes, sep="\n", end="\n\n" if table.notes else "\n")
    return [f"{name}: {row['name']}" for row in rows if verdict(row) == "fail"] + missed


def _options(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=names, help="this part; may be given again")
    parser.add_argument("--model", action="append", choices=MODELS, help="this model; may be given again")
    parser.add_argument("--rounds", type=int, default=Options.rounds, help="interleaved rounds of what is timed")
    parser.add_argument("--threads", type=int, help="threads of every engine (default: the physical cores)")
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="processor: for a busy machine, with --threads 1"
    )
    parser.add_argument("--results", type=Path, default=CACHE / "results.json", help="where rows are kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Publish what was measured: `python benchmarks/report.py [RESULTS]` adds rows to results.json and writes results.md.

RESULTS is the file that `run.py` keeps its rows in; its parts take the place of published ones, whatever machine those
are from. Without it the published rows are only drawn again. A test holds results.md to results.json, so the document
says nothing that was not measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from part import Row, Table, parts
from results import Results

HERE = Path(__file__).resolve().parent
Rows = list[Row]
PUBLISHED, PAGE = HERE / "results.json", HERE / "results.md"


def main() -> None:
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    if len(sys.argv) > 1:
        published |= publishable(Results.read(Path(sys.argv[1])))
    PUBLISHED.write_text(json.dumps(published, indent=1) + "\n", encoding="utf-8", newline="\n")
    PAGE.write_text(page(published), encoding="utf-8", newline="\n")


def publishable(results: Results) -> dict[str, Rows]:
    """Return the rows of each part, each with the machine that it was measured on."""
    machine = results.machine
    where = f"{machine['cpu']}, {machine['cores']} cores, {', '.join(machine['features']) or 'no features of note'}"
    return {part: [{**row, "machine": where} for row in results.rows(part)] for part in results.parts}


def page(published: Mapping[str, Rows]) -> str:
    """Return the document as it should be."""
    lines = [
        "# Results\n",
        "Written by `python benchmarks/report.py` from results.json; README.md tells how each part is measured.",
    ]
    for name, part in parts().items():
        if rows := published.get(name):
            lines += [f"\n## {name}", *map(drawn_table, part.tables(rows)), "\n" + _measured(rows)]
    return "\n".join(lines) + "\n"


def drawn_table(table: Table) -> str:
    """Return a table in Markdown."""
    rule = "|" + "|".join("---:" if index in table.right else "---" for index in range(len(table.header))) + "|"
    lines = [f"\n{table.title}\n", _line(table.header), rule, *map(_line, table.lines)]
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)])


def _line(values: tuple[str, ...]) -> str:
    return "| " + " | ".join(value.strip().replace("|", "\\|") for value in values) + " |"


def _measured(rows: Rows) -> str:
    """Say on which days, at which commits and on which machine the rows were measured."""
    stamps = dict.fromkeys(f"{row['date']} at {row['commit'] or 'no commit'}" for row in rows)
    machines = dict.fromkeys(row["machine"] for row in rows)
    return f"Measured {', '.join(stamps)}, on {'; '.join(machines)}."


if __name__ == "__main__":
    main()

"""Publish what was measured: `python benchmarks/report.py [RESULTS]` writes results.json and results.md in this folder.

RESULTS is the file that `run.py` keeps its rows in; without it the published rows are only drawn again. A test holds
results.md to results.json, so the document says nothing that was not measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

from part import Table, parts
from results import Results

HERE = Path(__file__).resolve().parent
PUBLISHED, PAGE = HERE / "results.json", HERE / "results.md"


def main() -> None:
    results = Results.read(Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED)
    results.write(PUBLISHED)
    PAGE.write_text(page(results), encoding="utf-8", newline="\n")


def page(results: Results) -> str:
    """Return the document as it should be."""
    machine = results.machine
    lines = [
        "# Results\n",
        "Written by `python benchmarks/report.py` from results.json; README.md tells how each part is measured.\n",
        f"{machine['cpu']}, {machine['cores']} cores, {', '.join(machine['features']) or 'no features of note'}.",
    ]
    for name, part in parts().items():
        rows = results.rows(name)
        if rows:
            lines += [f"\n## {name}", *map(drawn_table, part.tables(rows)), "\n" + _measured(rows)]
    return "\n".join(lines) + "\n"


def drawn_table(table: Table) -> str:
    """Return a table in Markdown."""
    rule = "|" + "|".join("---:" if index in table.right else "---" for index in range(len(table.header))) + "|"
    lines = [f"\n{table.title}\n", _line(table.header), rule, *map(_line, table.lines)]
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)])


def _line(values: tuple[str, ...]) -> str:
    return "| " + " | ".join(value.strip().replace("|", "\\|") for value in values) + " |"


def _measured(rows: list[dict[str, str]]) -> str:
    """Say on which days and at which commits the rows were measured."""
    stamps = dict.fromkeys(f"{row['date']} at {row['commit'] or 'no commit'}" for row in rows)
    return f"Measured {', '.join(stamps)}."


if __name__ == "__main__":
    main()

"""Tables on standard output, and the one JSON object in their place."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PIPE_WIDTH = 120
"""Columns where standard output is no terminal."""


def console() -> Console:
    """Return the console of standard output as it is now."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False)


def print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values below a title; a fact without a value is left out."""
    shown = [(name, value) for name, value in facts if value]
    indent = max((len(name) for name, _ in shown), default=0) + 5
    out = console()
    out.print(Text(title, style="bold"), soft_wrap=True)
    for name, value in shown:
        # Not a rich table, which would fill every line with spaces up to its width.
        lines = textwrap.wrap(value, max(20, out.width - indent), break_on_hyphens=False) or [value]
        out.print(Text(f"  {name:<{indent - 2}}", style="dim"), lines[0], sep="", soft_wrap=True)
        for line in lines[1:]:
            out.print(" " * indent + line, soft_wrap=True)


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print a table; the columns `right` (by index) are aligned to the right.

    A value of "pass", "fail", "yes" or "no" is coloured; a column without any value is left out.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", show_edge=False)
    filled = list(rows)
    columns = [index for index in range(len(header)) if any(row[index] for row in filled)]
    for index in columns:
        table.add_column(header[index], justify="right" if index in right else "left", overflow="fold")
    for row in filled:
        table.add_row(*(Text(row[index], style=_STYLES.get(row[index], "")) for index in columns))
    out = console()
    if title:
        out.print(Text(title, style="bold"))
    out.print(table)


_STYLES = {"pass": "green", "fail": "bold red", "yes": "green", "no": "yellow"}


def print_json(data: dict[str, Any]) -> None:
    """Print the one JSON object of a command; figures that JSON cannot say (NaN, infinity) become null."""
    print(json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, indent=2))


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON values
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value

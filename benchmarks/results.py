"""The rows of all parts, kept in one JSON file from run to run: a row replaces an earlier one of its name."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from part import Row
from setting import ROOT, describe, today


class Results:
    """The file of rows, with the kind of machine they were measured on; rows of another machine are let go."""

    def __init__(self, path: Path, parts: dict[str, dict[str, Row]], machine: dict[str, Any]) -> None:
        self.path, self.parts, self.machine = path, parts, machine

    @classmethod
    def open(cls, path: Path) -> Results:
        """Open the file at `path` to add rows to it; it need not be there."""
        machine = describe()
        if path.exists():
            earlier = cls.read(path)
            if earlier.machine == machine:
                return earlier
        return cls(path, {}, machine)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read a file as it is, whatever machine wrote it."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, kept["parts"], kept["machine"])

    def add(self, part: str, row: Row) -> None:
        """Add a row, with the day and the commit it was measured at, and write the file."""
        self.parts.setdefault(part, {})[row["name"]] = {**row, "date": today(), "commit": _commit()}
        self.write(self.path)

    def keep(self, part: str, names: Collection[str]) -> None:
        """Let go of a part's other rows: a whole run has none of what earlier code measured."""
        self.parts[part] = {name: row for name, row in self.parts.get(part, {}).items() if name in names}
        self.write(self.path)

    def rows(self, part: str) -> list[Row]:
        """Return the rows of a part; empty where nothing was measured."""
        return list(self.parts.get(part, {}).values())

    def write(self, path: Path) -> None:
        """Write the file to `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": self.machine, "parts": self.parts}, indent=1)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _commit() -> str:
    """Return the commit of the checkout, marked where files differ from it; empty outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()

"""Trees of sysfs for tests: `tests/data/sysfs/*.txt`, each the text of many files, as `tail -n +1 FILES` prints them.

One text for a tree, since the names of zones have colons, which not every system allows in a file's name.
"""

from __future__ import annotations

import re
from pathlib import Path

RECORDED = Path(__file__).resolve().parent / "data" / "sysfs"


def plant(name: str, folder: Path) -> Path:
    """Write a recorded tree below a folder and return it."""
    text = (RECORDED / f"{name}.txt").read_text(encoding="utf-8")
    files = re.findall(r"^==> (.+) <==\n(.*(?:\n(?!==> ).+)*)", text, re.MULTILINE)
    assert files
    for path, content in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{content}\n", encoding="utf-8")
    return folder


def put(path: Path, value: object) -> None:
    """Let a file say something else."""
    path.write_text(f"{value}\n", encoding="utf-8")

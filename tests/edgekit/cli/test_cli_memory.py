"""Millions of lines need no more memory than thousands: what is read is let go of as it is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import small_encoders

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the peak is asked of the system's resource module"),
]

CHILD = """
import resource, sys
from edgekit.cli import main
code = main(sys.argv[1:])
unit = 1 if sys.platform == "darwin" else 1024
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, file=sys.stderr)
"""
LINES = (10_000, 150_000)
SLACK = 12 << 20
"""Bytes by which two runs of the same may differ: allocators and threads. The longer input alone has as many."""


def peak(bundle: Path, lines: int, folder: Path, form: str) -> int:
    """Classify so many lines in a process of its own, and return its peak memory in bytes."""
    path, output = folder / f"texts.{form}", folder / "labels.jsonl"
    with path.open("w", encoding="utf-8") as file:
        if form == "csv":
            file.write("id,text\n")
        for number in range(lines):
            text = f"the lazy dog jumps over fox {number}"
            file.write(f'{number},"{text}"\n' if form == "csv" else json.dumps({"text": text}) + "\n")
    command = [sys.executable, "-c", CHILD, "classify", str(bundle), str(path), "--threads", "1"]
    with output.open("w", encoding="utf-8") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=True)
    code, found = map(int, done.stderr.splitlines()[-1].split())
    assert code == 0
    with output.open(encoding="utf-8") as written:
        assert sum(1 for _ in written) == lines
    return found


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_number_of_lines(form: str, shared: Path, tmp_path: Path) -> None:
    bundle = small_encoders.bundle("classify", tmp_path)
    few, many = (peak(bundle, lines, tmp_path, form) for lines in LINES)
    print(f"{LINES[0]:,} lines: {few / 1e6:.0f} MB, {LINES[1]:,} lines: {many / 1e6:.0f} MB")
    assert many - few < SLACK

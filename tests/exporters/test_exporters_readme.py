"""The worked example in exporters/README.md is the file that it shows."""

from __future__ import annotations

import re
from pathlib import Path

EXPORTERS = Path(__file__).resolve().parents[2] / "exporters"
README = (EXPORTERS / "README.md").read_text(encoding="utf-8")


def test_the_worked_example_is_the_file() -> None:
    shown = re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", README, re.DOTALL)
    assert shown
    for name, code in shown:
        assert code == (EXPORTERS / name).read_text(encoding="utf-8")


def test_every_path_in_it_exists() -> None:
    roots = (EXPORTERS.parent, EXPORTERS, EXPORTERS / "edgekit_exporters")
    for path in re.findall(r"`?((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)\b", README):
        assert any((root / path).exists() for root in roots), path

"""Memory and time of an export, to each format and to all of them in one reading of the checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bundles import FORMATS, export
from part import Options, Row, Table, verdict
from setting import CACHE

from edgekit.cli import figures

ORDER = 10  # before what is measured with the bundles
TARGETS = {("smollm2", "int8"): 400e6, ("smollm2", "int4"): 400e6, ("phi3", "int4"): 1e9}
"""Of the peak of resident memory, in bytes."""


def measure(options: Options) -> Iterator[Row]:
    """Export each model in fresh processes; the bundle with all formats is kept for the other parts."""
    for (model, quantize), target in TARGETS.items():
        if model not in options.models:
            continue
        for formats in (*((name,) for name in FORMATS), FORMATS):
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                output = None if formats == FORMATS else Path(folder) / "bundle"
                found = export(model, quantize, formats, output=output)
            met = found["peak_bytes"] <= target
            names = ", ".join(formats)
            yield {
                "name": f"{model} {quantize} to {names}", "model": f"{model} {quantize}", "formats": names, **found,
                "target_bytes": target, "met": met,
            }  # fmt: skip


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of exports."""
    lines = [
        (
            row["model"],
            row["formats"],
            figures.size(row["peak_bytes"]),
            figures.size(row["target_bytes"]),
            figures.seconds(row["seconds"]),
            verdict(row),
        )
        for row in rows
    ]
    header = ("model", "formats", "peak memory", "target", "time", "")
    return [Table("Export, in a fresh process", header, lines, right=(2, 3, 4))]

"""Memory and time of an export."""

from __future__ import annotations

from collections.abc import Iterator

from bundles import export
from part import Options, Row, Table, verdict

from edgekit.cli import figures

ORDER = 10  # before what is measured with the bundles
TARGETS = {("smollm2", "int4"): 400e6, ("smollm2", "int8"): 400e6, ("phi3", "int4"): 1e9}


def measure(options: Options) -> Iterator[Row]:
    """Export each model in a fresh process and compare the peak of resident memory with its target, in bytes."""
    for (model, quantize), target in TARGETS.items():
        if model in options.models:
            found = export(model, quantize)
            met = found["peak_bytes"] <= target
            yield {"name": f"{model} {quantize}", **found, "target_bytes": target, "met": met}


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of exports."""
    lines = [
        (
            row["name"],
            figures.size(row["peak_bytes"]),
            figures.size(row["target_bytes"]),
            figures.seconds(row["seconds"]),
            verdict(row),
        )
        for row in rows
    ]
    header = ("model", "peak memory", "target", "time", "")
    return [Table("Export to ONNX, in a fresh process", header, lines, right=(1, 2, 3))]

"""Memory and time of an export."""

from __future__ import annotations

from typing import Any

from bundles import export

TARGETS = {("smollm2", "int4"): 400e6, ("smollm2", "int8"): 400e6, ("phi3", "int4"): 1e9}


def measure_memory(models: list[str]) -> list[dict[str, Any]]:
    """Export each model and compare the peak of resident memory with its target, in bytes."""
    rows = []
    for (model, quantize), target in TARGETS.items():
        if model in models:
            figures = export(model, quantize)
            met = figures["peak_bytes"] <= target
            rows.append({"model": model, "quantize": quantize, **figures, "target_bytes": target, "met": met})
    return rows

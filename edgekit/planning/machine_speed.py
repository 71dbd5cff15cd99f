"""How fast this machine reads memory and multiplies matrices, measured in about a second with numpy alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from edgekit.speeds import Capacity, integer_gain

BYTES = 192 << 20
"""Read in each pass, by all threads together: more than any cache holds, and little enough for a small board."""
ROUNDS = 20
SIZE = 768
"""Rows and columns of the matrices: three of them stay in a second-level cache, as an engine's blocks do."""
SECONDS = 0.5
"""What each of the three measurements takes, once two rounds are done."""


@dataclass(frozen=True, kw_only=True)
class MachineSpeed:
    """What was measured."""

    bandwidth: float
    """Bytes per second that all threads together read."""
    flops: float
    """Float32 operations per second that all threads together reach in products of matrices."""
    noise: float
    """How much slower than the best the middle round was, as a share of the best: above 0.1 the machine is busy."""


def capacity_of(speeds: Sequence[MachineSpeed], features: Iterable[str]) -> Capacity:
    """Return what a machine can do at best, by several measurements and its processor's features."""
    return Capacity(
        bandwidth=max(speed.bandwidth for speed in speeds),
        flops=max(speed.flops for speed in speeds),
        integer_gain=integer_gain(features),
    )


def measure(threads: int) -> MachineSpeed:
    """Measure with so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        reads = _read_rates(pool, threads)
        # numpy's library has threads of its own, unless it was built or told otherwise.
        flops = max(_product_rate(pool, count) for count in {1, threads})
    best = max(reads)
    return MachineSpeed(bandwidth=best, flops=flops, noise=1 - statistics.median(reads) / best)


def _read_rates(pool: ThreadPoolExecutor, threads: int) -> list[float]:
    """Return bytes per second of rounds in which each thread reads an array of its own."""
    parts = [np.ones(BYTES // threads // 8, np.int64) for _ in range(threads)]
    # A maximum reads every element once, writes none, and keeps pace with memory.
    seconds = _rounds(lambda: list(pool.map(np.max, parts)))
    return [sum(part.nbytes for part in parts) / each for each in seconds]


def _product_rate(pool: ThreadPoolExecutor, count: int) -> float:
    """Return float operations per second of so many products at the same time, in the best of some rounds."""
    matrices = [np.random.default_rng(0).standard_normal((SIZE, SIZE), np.float32) for _ in range(count)]
    seconds = _rounds(lambda: list(pool.map(lambda matrix: matrix @ matrix, matrices)))
    return count * 2 * SIZE**3 / min(seconds)


def _rounds(work: Callable[[], object]) -> list[float]:
    """Return the seconds of each round after one that is not counted, until there are enough or time is up."""
    work()
    seconds: list[float] = []
    while len(seconds) < ROUNDS and (len(seconds) < 2 or sum(seconds) < SECONDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds

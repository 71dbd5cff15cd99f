"""The median of repeated measurements, with the interval it can be trusted within."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """A median of `rounds` values and its interval."""

    median: float
    low: float
    high: float
    rounds: int


def measured(values: Sequence[float]) -> Measured:
    """Return the median and its 95 % interval from order statistics; below 6 values that is the whole range.

    The number of values below the true median is binomial with p = 1/2, whatever the distribution (Conover, Practical
    Nonparametric Statistics, section 3.2): the widest ranks are cut as long as 95 % remain.
    """
    ordered, count = sorted(values), len(values)
    cut = 0
    while 1 - 2 * _tail(count, cut + 1) >= CONFIDENCE:
        cut += 1
    return Measured(statistics.median(ordered), ordered[cut], ordered[count - 1 - cut], count)


def _tail(count: int, upto: int) -> float:
    """Return the chance that at most `upto` of `count` values lie below the median."""
    return float(sum(math.comb(count, below) for below in range(upto + 1))) * 0.5**count

"""What a source of energy readings gives, and the sum of joules over readings of power."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Protocol


class Source(Protocol):
    """Tells how much energy was used from one call to the next. One meter at a time."""

    @property
    def name(self) -> str:
        """As in `edgekit.energy.SOURCES`."""

    @property
    def covers(self) -> str:
        """What the readings are of, in words."""

    @property
    def interval(self) -> float:
        """Seconds between two calls of `advance`, at most."""

    @property
    def lag(self) -> float:
        """Seconds after which the readings show what goes on."""

    @property
    def window(self) -> float:
        """Seconds over which a figure should be taken at least."""

    def start(self) -> None:
        """Begin at zero.

        Raises:
            EnergyError: it cannot be read.
        """

    def advance(self) -> float:
        """Return the joules used since the last call of this or of `start`.

        Raises:
            EnergyError: it can no longer be read, or what it says makes no sense.
        """


class PowerSource(ABC):
    """A source that tells watts: between two readings the power is taken to change evenly (trapezoids)."""

    def __init__(self) -> None:
        self._last = (0.0, 0.0)

    def start(self) -> None:
        """Take the first reading."""
        self._last = self._reading()

    def advance(self) -> float:
        """Take a reading and return the joules between the last one and it."""
        (began, before), (now, after) = self._last, self._reading()
        self._last = now, after
        return (before + after) / 2 * (now - began)

    @abstractmethod
    def watts(self) -> float:
        """Return the power now, 0 or more.

        Raises:
            EnergyError: it cannot be read.
        """

    def _reading(self) -> tuple[float, float]:
        """Return the time in the middle of a reading, which may take a while, and the power."""
        began = self.clock()
        watts = self.watts()
        return (began + self.clock()) / 2, watts

    def clock(self) -> float:
        """Return the time in seconds; it stands still while the device is suspended."""
        return time.monotonic()

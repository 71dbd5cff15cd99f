"""The energy that a `with` block takes, added up by a thread that reads as often as the source wants."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from edgekit.energy.source import Source
from edgekit.errors import EnergyError


class Meter:
    """Measures one `with` block; read it when the block has ended.

    The readings are of the device or its processor, and so of everything that ran meanwhile. A block should be as long
    as the source's `window`: a battery's gauge tells little of a second.
    """

    def __init__(self, source: Source | None, reason: str = "") -> None:
        self.source = source
        self.reason = reason
        """Why there are no joules; empty where there are."""
        self.seconds = 0.0
        self._joules = 0.0
        self._began = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="edgekit-energy", daemon=True)

    @property
    def joules(self) -> float | None:
        """Return the energy that the block took; None where it could not be measured to the end."""
        return None if self.reason or not self._ended.is_set() else self._joules

    @property
    def watts(self) -> float | None:
        """Return the mean power."""
        return self.joules / self.seconds if self.joules is not None and self.seconds else None

    def __enter__(self) -> Meter:
        if self._began:
            raise RuntimeError("a meter measures one block; make another for the next")
        if self.source is not None:
            try:
                self.source.start()
            except EnergyError as error:
                self.reason = error.message
        self._began = time.perf_counter()
        if not self.reason:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._add()
        self.seconds = time.perf_counter() - self._began
        if not self.reason and self._joules <= 0:
            self.reason = f"the readings did not change in {self.seconds:.1f} s"

    def _follow(self) -> None:
        assert self.source is not None
        while not self.reason and not self._ended.wait(self.source.interval):
            self._add()

    def _add(self) -> None:
        if self.source is None or self.reason:
            return
        try:
            self._joules += self.source.advance()
        except EnergyError as error:
            after = time.perf_counter() - self._began
            self.reason = f"the readings ended after {after:.1f} s: {error.message}"

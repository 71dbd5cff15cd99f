"""What a runtime's passes cost on this machine: measured where guessing ahead first asks, and remembered from then on.

No table can say it for every machine. LiteRT's pass over two tokens of a 4-bit model of Phi-3 Mini's size costs 1.2
times one over a single token on one x86-64 processor and 4.4 times on another, and both have VNNI.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgekit.errors import BundleError
from edgekit.folders import cache_record, write_whole
from edgekit.pass_costs import PassCosts
from edgekit.speeds import Passes, pass_costs, read_passes

SIZES = (2, 4, 16)
"""Tokens in the passes that are measured; costs between them are interpolated."""
ROUNDS, ENOUGH = 9, 0.5
"""How often they are measured at most, and the seconds after which no further round begins."""


class Session(Protocol):
    """What is measured: a `DecoderSession`."""

    border: int | None

    @property
    def context(self) -> int:
        """Capacity in tokens."""

    @property
    def length(self) -> int:
        """How many tokens are in the cache."""

    def forward(self, tokens: npt.NDArray[np.integer], last: int = 1) -> object:
        """Append tokens and compute the logits after the last ones."""

    def rewind(self, length: int) -> None:
        """Forget all tokens behind the first `length`."""


def costs_here(session: Session, key: str) -> PassCosts | None:
    """Return what the passes of a session cost, as remembered or else as measured now; None where it has no room.

    Args:
        session: A session, whatever it holds; it will hold the same.
        key: Names all that the costs depend on.
    """
    path = cache_record("passes", key.encode())
    found = _recall(path)
    if found is None and (found := measure(session)):
        # A folder that cannot be written only means that it is measured again.
        with contextlib.suppress(OSError):
            write_whole(path, json.dumps(dataclasses.asdict(found)))
    return None if found is None else pass_costs(found)


def measure(session: Session, clock: Callable[[], float] = time.perf_counter) -> Passes | None:
    """Measure passes behind what a session holds. None where there is no room.

    A round is 9 passes over several tokens and 6 over one. Of a large model there is one round; so no pass counts as
    dearer than one over more tokens, since what else the machine does can only lengthen a pass.
    """
    length, longest = session.length, session.length + SIZES[-1]
    if longest > session.context or (session.border is not None and length <= session.border < longest):
        return None

    def seconds(tokens: int) -> float:
        began = clock()
        session.forward(np.zeros(tokens, np.int64), last=tokens)
        spent = clock() - began
        session.rewind(length)
        return spent

    ones, changes = list[float](), list[float]()
    several: dict[int, list[float]] = {size: [] for size in SIZES}
    began = clock()
    for number in range(ROUNDS):
        if number and clock() - began >= ENOUGH:
            break
        for size in SIZES:
            seconds(size)  # engines prepare themselves for a size that is not the last one
            after_several, one, after_one, together = map(seconds, (1, 1, size, size))
            ones.append(one)
            several[size].append(together)
            changes.append((after_several - one + after_one - together) / 2)
    alone = statistics.median(ones)
    usual = [statistics.median(several[size]) for size in SIZES]
    dearest = list(itertools.accumulate(reversed(usual), min))[::-1]
    costs = {str(size): spent / alone for size, spent in zip(SIZES, dearest, strict=True)}
    return Passes(costs=costs, change=max(0.0, statistics.median(changes) / alone))


def _recall(path: Path) -> Passes | None:
    with contextlib.suppress(OSError, BundleError):
        return read_passes(path)
    return None

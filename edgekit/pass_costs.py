"""What a pass over several tokens costs beside a pass over one: guessing ahead goes by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PassCosts:
    """What a pass over several tokens costs on a warm cache, relative to a pass over one."""

    sizes: tuple[tuple[int, float], ...] = ()
    """(tokens in the pass, its cost), rising; between them costs are interpolated. Without any nothing is guessed."""
    change: float = 0.0
    """What a pass costs more when the one before it had another number of tokens: an engine may prepare anew for it."""

    def of(self, tokens: int) -> float:
        """Return the cost of a pass over so many tokens; behind the largest size it grows with their number."""
        sizes = self.sizes or ((1, 1.0), (2, 2.0))
        return interpolate(tokens, sizes) * max(1.0, tokens / sizes[-1][0])


def interpolate(x: float, points: Sequence[tuple[float, float]]) -> float:
    """Return y at x between points (x, y) in rising order; beyond the first and the last, theirs."""
    # numpy has this, but `edgekit doctor` must work where numpy does not.
    before = points[0]
    for point in points:
        if x <= point[0]:
            width = point[0] - before[0]
            return point[1] if width == 0 else before[1] + (point[1] - before[1]) * (x - before[0]) / width
        before = point
    return before[1]

"""How far a token computed alone is from the same one computed in a pass with others.

With whole-number activations or bfloat16 an engine rounds the two differently (DESIGN, section 5), so an answer with
guesses may leave the one without. What is measured is told at the end of the test run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.session import DecoderSession

PROPERTY = "tokens alone and in a pass with others"
TOGETHER = 5
"""Tokens in a pass."""


@dataclass(frozen=True)
class Divergence:
    """Logits of the same tokens, computed both ways."""

    alone: npt.NDArray[np.float32]
    together: npt.NDArray[np.float32]

    @property
    def differing(self) -> npt.NDArray[np.bool_]:
        """Where the likeliest token is another one."""
        differing: npt.NDArray[np.bool_] = self.alone.argmax(1) != self.together.argmax(1)
        return differing

    @property
    def margins(self) -> npt.NDArray[np.float32]:
        """How far the likeliest token leads, in standard deviations of the logits."""
        second, first = np.sort(self.alone, axis=1)[:, -2:].T
        margins: npt.NDArray[np.float32] = (first - second) / self.alone.std(1)
        return margins

    @property
    def furthest(self) -> float:
        """The largest difference, in standard deviations of the logits."""
        return float((np.abs(self.alone - self.together) / self.alone.std(1, keepdims=True)).max())


def measure(session: DecoderSession, ids: npt.NDArray[np.int64]) -> Divergence:
    """Compute tokens one by one, and in passes of several, in an empty session."""
    session.rewind(0)
    alone = [session.forward(ids[k : k + 1]) for k in range(len(ids))]
    session.rewind(0)
    passes = [ids[k : k + TOGETHER] for k in range(0, len(ids), TOGETHER)]
    together = [session.forward(tokens, last=len(tokens)) for tokens in passes]
    return Divergence(np.concatenate(alone), np.concatenate(together))


def summary(found: Sequence[Divergence]) -> str:
    """Say what was found in some texts."""
    count, total = sum(int(each.differing.sum()) for each in found), sum(len(each.alone) for each in found)
    furthest = max(each.furthest for each in found)
    share = f"{count} of {total} likeliest tokens differ ({count / total:.1%})"
    return f"{share}, logits by {furthest:.3f} standard deviations at most"

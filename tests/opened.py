"""A bundle that is loaded twice, and the reference that its sessions are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.session import DecoderSession, open_session
from edgekit_exporters.reference import Reference
from edgekit_exporters.weights import Float32

Ids = npt.NDArray[np.int64]

CONTEXT = 80
MARGIN = 0.01
"""Positions whose two best logits are nearer than this may swap by rounding alone."""


@dataclass
class Opened:
    """A bundle, loaded twice with one runtime."""

    runtime: str
    bundle: Bundle
    session: DecoderSession
    fresh: DecoderSession
    """Never does anything but `from_nothing`."""
    reference: Reference
    ids: Ids
    """70 tokens."""
    _truths: list[tuple[Ids, Float32]] = field(default_factory=list)

    def open(self, context: int = CONTEXT) -> DecoderSession:
        return open_session(self.bundle, self.runtime, LoadOptions(context=context, threads=1))

    def from_nothing(self, *calls: Ids, last: int = 1) -> Float32:
        """Return what a session says to the last of these inputs."""
        self.fresh.rewind(0)
        for call in calls[:-1]:
            self.fresh.forward(call)
        return self.fresh.forward(calls[-1], last=last)

    def check(self, tokens: Sequence[int] | Ids, logits: Float32) -> None:
        """Hold the logits of the last of these tokens to the reference, which computes all of them at once."""
        truth = self._truth(np.asarray(tokens, np.int64))[-len(logits) :]
        second, first = np.sort(truth, axis=1)[:, -2:].T
        assert logits.shape == truth.shape
        assert np.abs(logits - truth).max() <= 1e-4 * np.abs(truth).max()
        assert (logits.argmax(1) == truth.argmax(1))[first - second >= MARGIN].all()

    def _truth(self, ids: Ids) -> Float32:
        """Compute a sequence, or find it as the beginning of one that was, on the same side of the border."""
        border = self.bundle.manifest.spec.border or CONTEXT
        for known, logits in self._truths:
            if np.array_equal(known[: len(ids)], ids) and (len(known) > border) == (len(ids) > border):
                return logits[: len(ids)]
        whole = self.ids if len(ids) > border else self.ids[:border]
        longer = whole if np.array_equal(whole[: len(ids)], ids) else ids
        self._truths.append((longer, self.reference.logits(longer)))
        return self._truths[-1][1][: len(ids)]

    def others(self, count: int) -> Ids:
        """Return tokens that are not those of `ids`."""
        return (self.ids[:count] + 7) % self.session.vocab_size

"""How an input of any length is computed by signatures of fixed sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.decoder import Float32

Feeds = dict[str, npt.NDArray[np.int32] | Float32]

HIDDEN = -1e9
"""What the mask has where a position is not seen."""

PREFILL_FROM = 64
"""Fewer tokens are cheaper in chunks than in a prefill that is mostly padding (2.5 single steps against 12)."""


@dataclass(frozen=True)
class Signature:
    """One entry point of a model: `tokens` new ones over the first `span` positions of the cache."""

    name: str
    kind: str
    tokens: int
    span: int


@dataclass(frozen=True)
class Call:
    """One run of a signature: `count` of its tokens are the input's from `first` on, the rest is padding."""

    signature: Signature
    first: int
    count: int


class Plan:
    """Chooses signatures by what there are, `decode` among them at least."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        self._kinds: dict[str, list[Signature]] = {}
        for signature in sorted(signatures.values(), key=lambda s: s.span):
            self._kinds.setdefault(signature.kind, []).append(signature)

    def calls(self, count: int, start: int, last: int) -> list[Call]:
        """Return the runs for `count` tokens at positions start.., the last `last` of them with logits.

        Padding is written into the cache behind the tokens, where it is forgotten, and never beyond a span's end: the
        engine would then move the whole write backwards, over what is to be kept.
        """
        calls: list[Call] = []
        done = 0
        while done < count:
            rest, silent = count - done, count - last - done
            signature, used = self._next(start + done, rest, silent)
            calls.append(Call(signature, done, used))
            done += used
        return calls

    def _next(self, position: int, rest: int, silent: int) -> tuple[Signature, int]:
        if silent >= PREFILL_FROM and (found := self._find("prefill", position, silent)):
            return found
        if rest > 1 and (found := self._find("chunk", position, rest)):
            return found
        found = self._find("decode", position, 1)
        assert found is not None
        return found

    def _find(self, kind: str, position: int, wanted: int) -> tuple[Signature, int] | None:
        """Return the smallest span that holds, and how many of the wanted tokens it takes."""
        for signature in self._kinds.get(kind, ()):
            if position + signature.tokens <= signature.span:
                return signature, min(signature.tokens, wanted)
        return None


def feeds(signature: Signature, tokens: npt.NDArray[np.int64], start: int, capacity: int) -> Feeds:
    """Return the inputs of one run, for the tokens that it computes: ids, positions and the mask."""
    n = signature.tokens
    ids = np.zeros((1, n), np.int32)
    ids[0, : len(tokens)] = tokens
    positions = np.arange(start, start + n, dtype=np.int32)
    mask: Float32 = np.where(np.arange(signature.span) <= positions[:, None], np.float32(0), np.float32(HIDDEN))
    # Padding beyond the tables of positions takes their last row.
    inside = np.minimum(positions, capacity - 1)
    return {"tokens": ids, "input_pos": inside, "mask": mask.reshape(1, 1, n, signature.span)}

"""How likely a model finds each of several continuations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.decoding import Session
from edgekit.session import common_prefix

Float64 = npt.NDArray[np.float64]


def probabilities(session: Session, sequences: Sequence[Sequence[int]]) -> Float64:
    """Return the probability of each sequence of ids if the answer is one of them: float64 [n], which sums to 1.

    What all of them begin with is computed once. They should end alike, with what closes a word: otherwise one that is
    the beginning of another is always the likelier.

    Raises:
        ContextError: one does not fit the context.
        UsageError: ids outside of the vocabulary.
    """
    # At least one id of each is left over.
    shared = min(min(common_prefix(sequences[0], ids), len(ids) - 1) for ids in sequences)
    scores = np.empty(len(sequences))
    for place, ids in enumerate(sequences):
        tail = list(ids[shared:])
        session.align(list(ids[: shared - 1]))
        # The logits that choose a token are those of the token before it.
        rows = session.forward([*ids[session.length : len(ids) - 1]], last=len(tail))
        scores[place] = sum(_log_softmax(row, token) for row, token in zip(rows, tail, strict=True))
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def _log_softmax(row: npt.NDArray[np.float32], token: int) -> float:
    values = row.astype(np.float64)
    values -= values.max()
    return float(values[token] - np.log(np.exp(values).sum()))

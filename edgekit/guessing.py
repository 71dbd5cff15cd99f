"""Guessing ahead: tokens that are likely to come are computed together with the last one, and checked by that pass.

A pass over several tokens costs little more than one over a single token, since it reads the weights once. A guess is
accepted only where it is what the pass itself chooses (arXiv 2211.17192 with a draft that is certain of itself), so it
changes how fast an answer comes and not what it is distributed as. Nothing here reads a clock: the same prompt is
guessed at in the same way, and the same passes are computed, whatever else the machine does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
PassCosts = Sequence[tuple[int, float]]
"""(tokens in one pass, its cost relative to a pass of one token), rising; between them costs are interpolated."""

LONGEST = 15
"""Guesses in one pass at most: with the token before them they fill the engines' blocks of 16."""
WEIGHT, DECAY = 2.0, 0.9
"""How many observations the first estimate of acceptance counts as, and what is left of one after the next pass."""
ALLOWANCE, SHARE = 0.5, 0.015
"""What wrong guesses may cost in all: half a pass, and 1.5 % of the passes that the answer has needed without them."""

RUNS = {5: 0.8, 4: 0.7, 3: 0.6, 2: 0.4}
"""Lengths of the run of tokens that a look-up is for, longest first, and how often what followed one is right."""


class Draft(NamedTuple):
    """Tokens that may come next."""

    tokens: Ids
    kind: int
    """Drafts of one kind are accepted about equally often; the acceptance is learnt for each."""


class Drafter(Protocol):
    """Makes drafts."""

    cost: float
    """Of one guess, relative to a pass of the model over one token."""

    def first_estimate(self, kind: int) -> float:
        """Return the share of guesses of this kind that is expected to be right, before any was checked."""

    def propose(self, history: Ids, most: int) -> Draft:
        """Return up to `most` tokens that may follow `history`, perhaps none."""


class PromptLookup:
    """Expects that what followed the last few tokens earlier, in the prompt or the answer, follows them again.

    Right where an answer quotes, edits or extracts; free of cost (Saxena, "Prompt Lookup Decoding", 2023). The longest
    run that was there before counts, and of several the latest.
    """

    cost = 0.0

    def first_estimate(self, kind: int) -> float:
        """Return it by the length of the run that was found: the longer, the surer."""
        return RUNS[kind]

    def propose(self, history: Ids, most: int) -> Draft:
        """Return what followed; where that reaches the end of the history, it goes round."""
        for length in RUNS:
            start = _latest_run(history, length)
            if start is not None:
                follows = history[start:]
                return Draft(np.resize(follows, most), length)
        return Draft(history[:0], 0)


def _latest_run(history: Ids, length: int) -> int | None:
    """Return where the tokens begin that followed the latest earlier run of the last `length` tokens."""
    places = len(history) - length
    if places < 1:
        return None
    found = np.ones(places, np.bool_)
    for offset in range(length):
        found &= history[offset : offset + places] == history[places + offset]
    starts = np.flatnonzero(found)
    return int(starts[-1]) + length if len(starts) else None


class Guesses:
    """The guesses of one answer: how many are worth a try, by what was accepted so far and what a pass costs."""

    def __init__(self, drafter: Drafter, costs: PassCosts) -> None:
        self._drafter = drafter
        sizes, relative = zip(*costs, strict=True) if costs else ((1, 2), (1.0, 2.0))
        within = np.interp(np.arange(1, LONGEST + 2), sizes, relative)
        # Behind the largest size that was measured, a pass costs as much more per token as a whole one would.
        beyond = np.maximum(0, np.arange(1, LONGEST + 2) - sizes[-1])
        self._pass_costs = within + beyond * relative[-1] / sizes[-1]
        self._right: defaultdict[int, float] = defaultdict(float)
        self._tried: defaultdict[int, float] = defaultdict(float)
        self._balance = 0.0
        self._passes = 0
        self._kind = 0

    def propose(self, history: Ids, most: int) -> Ids:
        """Return tokens, `most` at most and often none, that are worth to be computed along with the next pass."""
        self._passes += 1
        most = min(most, LONGEST)
        if most < 1:
            return history[:0]
        # A drafter that costs something is asked only for as many as could pay.
        free = self._drafter.cost == 0
        most = most if free else self._best(most, self._acceptance(self._kind))
        draft = self._drafter.propose(history, most) if most else Draft(history[:0], 0)
        self._kind = draft.kind
        if not len(draft.tokens):
            return draft.tokens
        count = self._best(len(draft.tokens), self._acceptance(draft.kind)) if free else len(draft.tokens)
        return draft.tokens[:count]

    def learn(self, guessed: int, accepted: int) -> None:
        """Take in how many of the last proposal's guesses were right, from its beginning."""
        self._balance += 1 + accepted - self._cost(guessed)
        self._right[self._kind] = DECAY * self._right[self._kind] + accepted
        # What comes behind the first wrong guess says nothing about the guesses.
        self._tried[self._kind] = DECAY * self._tried[self._kind] + min(accepted + 1, guessed)

    def _acceptance(self, kind: int) -> float:
        """Return the probability that the next guess is right if all before it were."""
        estimate = self._drafter.first_estimate(kind)
        return (WEIGHT * estimate + self._right[kind]) / (WEIGHT + self._tried[kind])

    def _cost(self, guessed: int) -> float:
        return float(self._pass_costs[guessed]) + guessed * self._drafter.cost

    def _best(self, most: int, acceptance: float) -> int:
        """Return how many guesses give the most tokens for their cost; 0 if none pays, or their allowance is spent."""
        best, best_rate = 0, 1.0
        expected = 1.0
        for count in range(1, most + 1):
            expected += acceptance**count
            rate = expected / self._cost(count)
            affordable = self._balance - (self._cost(count) - 1) >= -(ALLOWANCE + SHARE * self._passes)
            if rate > best_rate and affordable:
                best, best_rate = count, rate
        return best

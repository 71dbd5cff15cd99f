"""Guessing ahead: tokens that are likely to come are computed together with the last one, and checked by that pass.

A pass over several tokens costs little more than one over a single token, since it reads the weights once. A guess is
accepted only where it is what the pass itself chooses (arXiv 2211.17192 with a draft that is certain of itself), so it
changes how fast an answer comes and not what it is distributed as. Nothing here reads a clock: with the same costs of
passes, the same prompt is guessed at in the same way, whatever else the machine does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.pass_costs import PassCosts

Ids = npt.NDArray[np.int64]

LONGEST = 16
"""Tokens in one pass at most, guesses among them: engines compute them in blocks of 16."""
WEIGHT, DECAY = 2.0, 0.9
"""How many observations the first estimate of acceptance counts as, and what is left of one after the next pass."""
ALLOWANCE, SHARE = 0.5, 0.015
"""What wrong guesses may cost in all: half a pass, and 1.5 % of the passes that the answer has needed without them."""
RUN_SHARE = 0.3
"""What one pass bears of a change of size: guesses come in runs, which share the way there and back. Tried on recorded
answers (tests/edgekit/test_guessing_gain.py): with the whole of it, copying that has just begun is given up."""

RUNS = {2: 0.4, 3: 0.6, 4: 0.7, 5: 0.8}
"""Lengths of the run of tokens that a look-up is for, and how often what followed one is right."""


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
        length, ends = 1, np.flatnonzero(history[:-1] == history[-1])
        while length < max(RUNS):
            earlier = ends[ends >= length]
            longer = earlier[history[earlier - length] == history[-1 - length]] if len(earlier) else earlier
            if not len(longer):
                break
            length, ends = length + 1, longer
        if length not in RUNS:
            return Draft(history[:0], 0)
        return Draft(np.resize(history[ends[-1] + 1 :], most), length)


class Guesses:
    """The guesses of one answer: how many are worth a try, by what was accepted so far and what a pass costs."""

    def __init__(self, drafter: Drafter, costs: Callable[[], PassCosts]) -> None:
        """Take who guesses, and a function that is asked for the costs of passes once there is something to guess."""
        self._drafter = drafter
        self._ask = costs
        self._costs: list[float] = []
        self._change = 0.0
        self._right: defaultdict[int, float] = defaultdict(float)
        self._tried: defaultdict[int, float] = defaultdict(float)
        self._balance = 0.0
        self._passes = 0
        self._kind = 0
        self._size = 1
        """Tokens of the last pass."""
        self._extra = 0.0
        """What the guesses of the last pass cost."""

    def propose(self, history: Ids, new: int, most: int) -> Ids:
        """Return tokens, `most` at most and often none, that are worth to be computed along with the next pass.

        Args:
            history: All tokens that are known.
            new: How many of them the pass computes anyway.
            most: How many guesses there is room for.
        """
        self._passes += 1
        draft, count = self._draft(history, new, min(most, LONGEST - new))
        self._kind = draft.kind
        self._extra = self._cost(count, new) if count else 0.0
        self._size = new + count
        return draft.tokens[:count]

    def learn(self, guessed: int, accepted: int) -> None:
        """Take in how many of the last proposal's guesses were right, from its beginning."""
        self._balance += accepted - self._extra
        self._right[self._kind] = DECAY * self._right[self._kind] + accepted
        # What comes behind the first wrong guess says nothing about the guesses.
        self._tried[self._kind] = DECAY * self._tried[self._kind] + min(accepted + 1, guessed)

    def _draft(self, history: Ids, new: int, most: int) -> tuple[Draft, int]:
        """Return a draft, and how many of its tokens are worth a try."""
        nothing = Draft(history[:0], self._kind)
        if most < 1:
            return nothing, 0
        if not self._drafter.cost:
            draft = self._drafter.propose(history, most)
            return draft, self._best(len(draft.tokens), new, draft.kind)
        # A drafter that costs something is asked only for as many as could pay.
        worth = self._best(most, new, self._kind)
        draft = self._drafter.propose(history, worth) if worth else nothing
        return draft, len(draft.tokens)

    def _acceptance(self, kind: int) -> float:
        """Return the probability that the next guess is right if all before it were."""
        estimate = self._drafter.first_estimate(kind)
        return (WEIGHT * estimate + self._right[kind]) / (WEIGHT + self._tried[kind])

    def _cost(self, guessed: int, new: int) -> float:
        """Return what guesses add to the cost of a pass that computes `new` tokens anyway."""
        added = self._costs[new + guessed] - self._costs[new] + guessed * self._drafter.cost
        if new + guessed == self._size:
            return added
        # Whoever leaves the plain passes has to come back to them.
        return added + RUN_SHARE * self._change * (2 if self._size == new else 1)

    def _best(self, most: int, new: int, kind: int) -> int:
        """Return how many guesses give the most tokens for their cost; 0 if none pays, or their allowance is spent."""
        if most < 1:
            return 0
        if not self._costs:
            costs = self._ask()
            self._costs, self._change = [costs.of(tokens) for tokens in range(LONGEST + 1)], costs.change
        acceptance = self._acceptance(kind)
        best, best_rate, expected = 0, 1.0, 1.0
        for count in range(1, most + 1):
            expected += acceptance**count
            extra = self._cost(count, new)
            rate = expected / (1 + extra)
            if rate > best_rate and self._balance - extra >= -(ALLOWANCE + SHARE * self._passes):
                best, best_rate = count, rate
        return best

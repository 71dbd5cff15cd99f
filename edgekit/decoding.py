"""The tokens of an answer, one after another, in as few passes over the weights as can be."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.guessing import Drafter, Guesses
from edgekit.pass_costs import PassCosts
from edgekit.progress import Progress
from edgekit.sampling import Float32, Sampler

Ids = npt.NDArray[np.int64]


class Session(Protocol):
    """What the loop needs of a `DecoderSession`."""

    border: int | None
    """The length that guesses must not cross: behind it every position is computed anew."""

    @property
    def pass_costs(self) -> PassCosts:
        """What a pass over several tokens costs beside one over a single token; to find out may take passes."""

    @property
    def vocab_size(self) -> int:
        """Size of a row of logits."""

    @property
    def context(self) -> int:
        """Capacity in tokens."""

    @property
    def length(self) -> int:
        """How many tokens are in the cache."""

    def forward(
        self, tokens: Sequence[int] | npt.NDArray[np.integer], last: int = 1, progress: Progress | None = None
    ) -> Float32:
        """Append tokens and return logits, float32 [last, vocab_size]."""

    def align(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> int:
        """Keep the common prefix and return its length."""

    def rewind(self, length: int) -> None:
        """Forget all tokens behind the first `length`."""


class Constraint(Protocol):
    """What an answer must look like, followed token by token."""

    @property
    def finished(self) -> bool:
        """Whether all tokens that were accepted are a whole answer, which nothing may follow."""

    def value(self, text: str) -> Any:  # noqa: ANN401 - whatever an answer of this form stands for
        """Return what a whole answer says."""

    def start(self) -> Sequence[int]:
        """Return the tokens that every answer begins with; they count as accepted."""

    def allow(self, logits: Float32) -> Float32:
        """Return a copy of float32 [vocab_size] logits with -inf at each token that may not come next."""

    def accept(self, token: int) -> Sequence[int]:
        """Take the token that was chosen and return those that must follow it; they count as accepted, too."""


Roll = Callable[[int], Sequence[int] | None]
"""Returns a shorter prompt once the context is full, given how many tokens the answer has; None where there is none."""


class Chosen(NamedTuple):
    """A token, and how it came about."""

    token: int
    logprob: float
    """Under the model's own logits; 0 for a token that the constraint forced, which the model was not asked about."""
    decoded: bool
    """Whether it came after the first pass, the one that computed the prompt."""
    whole: bool
    """Whether the answer is whole with it, and the constraint lets nothing follow."""
    seconds: float


class Counts:
    """What an answer took so far."""

    reused_tokens = 0
    passes = 0
    """Over the weights, after the one that computed the prompt."""
    guessed_tokens = 0
    accepted_tokens = 0
    forced_tokens = 0


class Decoding:
    """An answer being made. `run` gives its tokens; the session then holds all of them but those not yet computed.

    Rows of logits are valid as long as the tokens chosen from them are those that were guessed, so one pass may give
    several tokens. Tokens that a constraint forces are not chosen at all: they are computed with the next pass.
    """

    def __init__(
        self,
        session: Session,
        prompt: Ids,
        sampler: Sampler,
        limit: int | None,
        *,
        roll: Roll | None,
        drafter: Drafter | None,
        constraint: Constraint | None,
        progress: Progress,
    ) -> None:
        self.counts = Counts()
        self._session, self._sampler, self._limit, self._roll = session, sampler, limit, roll
        self._guesses = None if drafter is None else Guesses(drafter, lambda: session.pass_costs)
        self._constraint = constraint
        self._progress = progress
        # The last token needs no room in the context: it is not computed.
        self._history = np.empty(session.context + 1, np.int64)
        self._history[: len(prompt)] = prompt
        self._prompt_length = self._length = len(prompt)
        self._computed = 0
        """How many tokens of the history the session holds, wrong guesses behind them not counted."""
        self._prefilled = False
        self._rolled = False
        """Whether the prompt is another one that was not computed yet."""
        self._rows: Float32 | None = None
        self._drafts: Ids = self._history[:0]
        self._base = 0
        """The length of the history when `_rows` were computed: row k chooses the token at `_base` + k."""

    def run(self, check: Callable[[], None]) -> Generator[Chosen, None, None]:
        """Give the answer's tokens up to the limit, or until the context is full and nothing in it can make room.

        Whoever reads them ends it earlier; `check` may raise between two of them.
        """
        forced = deque(self._constraint.start() if self._constraint else ())
        try:
            while self._answered != self._limit and self._has_room():
                began = time.perf_counter()
                decoded = self._prefilled
                if forced:
                    token, logprob = forced.popleft(), 0.0
                    self.counts.forced_tokens += 1
                else:
                    token, logprob = self._choose()
                    if self._constraint:
                        forced.extend(self._constraint.accept(token))
                whole = not forced and self._constraint is not None and self._constraint.finished
                yield Chosen(token, logprob, decoded, whole, time.perf_counter() - began)
                self._append(token)
                check()
        finally:
            if len(self._drafts):
                # A session that was closed meanwhile, or that another caller has, holds nothing of this answer.
                with contextlib.suppress(EdgekitError):
                    self._session.rewind(min(self._computed, self._session.length))

    @property
    def _answered(self) -> int:
        return self._length - self._prompt_length

    def _has_room(self) -> bool:
        """Whether all tokens so far can be computed; where not, make room if that is possible."""
        if self._length <= self._session.context:
            return True
        answer = self._history[self._prompt_length : self._length].copy()
        prompt = self._roll(len(answer)) if self._roll else None
        if prompt is None or len(prompt) + len(answer) > self._session.context:
            return False
        self._prompt_length = len(prompt)
        self._length = len(prompt) + len(answer)
        self._history[: self._length] = [*prompt, *answer]
        self._rows, self._drafts = None, self._history[:0]
        self._rolled = True
        return True

    def _choose(self) -> tuple[int, float]:
        if self._rows is None:
            self._pass()
        assert self._rows is not None
        logits = self._rows[self._length - self._base]
        scores = self._constraint.allow(logits) if self._constraint else logits
        return self._sampler.choose(logits, self._history[: self._length], scores)

    def _append(self, token: int) -> None:
        if self._rows is not None:
            place = self._length - self._base
            if place < len(self._drafts) and self._drafts[place] == token:
                self._computed += 1
                self.counts.accepted_tokens += 1
            else:
                self._rows = None
        self._history[self._length] = token
        self._length += 1

    def _pass(self) -> None:
        """Compute all tokens that the session lacks, and guesses behind them."""
        if not self._prefilled:
            known, self._rows = self._read()
            # Beyond the prompt it may hold forced tokens, too: of an answer that began like this one.
            self.counts.reused_tokens = min(known, self._prompt_length)
            self._prefilled = True
        else:
            if self._rolled:
                _, self._rows = self._read()
            else:
                new = self._next()
                self._rows = self._session.forward(new, last=1 + len(self._drafts))
            self.counts.passes += 1
        self._rolled = False
        self._base = self._computed = self._length

    def _read(self) -> tuple[int, Float32]:
        """Compute what the session lacks of a prompt and what follows it; return also how much it held already."""
        # The last token is left out, so that it is computed in any case: its logits are not in the cache.
        known = self._session.align(self._history[: self._length - 1].tolist())
        new = self._history[known : self._length]
        self._progress.start("Reading the prompt", len(new), "tokens")
        try:
            return known, self._session.forward(new, progress=self._progress)
        finally:
            self._progress.finish()

    def _next(self) -> Ids:
        """Return the tokens of the next pass, and bring the session to where they begin."""
        if len(self._drafts):
            self._session.rewind(self._computed)
        new = self._history[self._computed : self._length]
        if self._guesses is None:
            return new
        if len(self._drafts):
            self._guesses.learn(len(self._drafts), self._computed - self._base)
        self._drafts = self._guesses.propose(self._history[: self._length], len(new), self._room())
        self.counts.guessed_tokens += len(self._drafts)
        return np.concatenate([new, self._drafts]) if len(self._drafts) else new

    def _room(self) -> int:
        """Return how many guesses fit behind what is known: into the context, the answer, and before the border."""
        room = self._session.context - self._length
        if self._limit is not None:
            room = min(room, self._limit - self._answered - 1)
        border = self._session.border
        return room if border is None or self._length > border else min(room, border - self._length)

"""The loop that turns a prompt's ids into an answer, one token at a time, over any session."""

from __future__ import annotations

import inspect
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.errors import ContextError, UsageError
from edgekit.progress import Progress, Silent
from edgekit.sampling import Sampler, Sampling
from edgekit.streaming import StopStrings, TextStream

if TYPE_CHECKING:
    from edgekit.tokenizer import Tokenizer

FinishReason = Literal["stop", "length", "cancelled"]
Ids = Sequence[int] | npt.NDArray[np.integer]


class Session(Protocol):
    """What the loop needs of a `DecoderSession`."""

    @property
    def vocab_size(self) -> int:
        """Size of a row of logits."""

    @property
    def context(self) -> int:
        """Capacity in tokens."""

    def forward(self, tokens: Ids, last: int = 1, progress: Progress | None = None) -> npt.NDArray[np.float32]:
        """Append tokens and return logits, float32 [last, vocab_size]."""

    def align(self, tokens: Ids) -> int:
        """Keep the common prefix and return its length."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an answer is made and where it ends.

    Raises:
        UsageError: no tokens, or an empty stop string.
    """

    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    """None goes on until the model ends or the context is full."""
    eos_ids: Collection[int] = ()
    """Each of them ends the answer and is no part of it."""
    stop: tuple[str, ...] = ()
    """Each of these texts ends the answer and is no part of its text."""

    def __post_init__(self) -> None:
        tokens = self.max_tokens
        if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1):
            raise UsageError(f"max_tokens is {tokens!r}; it must be a whole number, 1 or more")
        for text in self.stop:
            if not isinstance(text, str) or not text:
                raise UsageError(f"{text!r} is no stop string; it must be a text that is not empty")


@dataclass(frozen=True, kw_only=True)
class Timings:
    """How long an answer took. The consumer's own time between two steps is not counted."""

    prompt_tokens: int
    reused_tokens: int
    """How many of them were in the cache already."""
    prefill_seconds: float
    """From the prompt to the first token."""
    decode_tokens: int
    """Tokens that were computed one by one: all but the first, and the end of the sequence where it came."""
    decode_seconds: float

    @property
    def prefill_tokens_per_second(self) -> float:
        """Prompt tokens that were computed, per second; 0 where nothing was measured."""
        return _rate(self.prompt_tokens - self.reused_tokens, self.prefill_seconds)

    @property
    def decode_tokens_per_second(self) -> float:
        """Tokens after the first, per second; 0 where there were none."""
        return _rate(self.decode_tokens, self.decode_seconds)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer. `str(reply)` is its text."""

    text: str
    """Without special tokens, and without the stop string and what came after it; "" without a tokenizer."""
    tokens: tuple[int, ...]
    """All generated ids, those of a stop string included, the end-of-sequence token not."""
    logprobs: tuple[float, ...]
    """Of each token: the natural logarithm of its probability under the model's own logits."""
    finish_reason: FinishReason
    """"stop": the model ended or a stop string came; "length": max_tokens or the context; "cancelled": closed."""
    timings: Timings

    def __str__(self) -> str:
        return self.text


class Step(NamedTuple):
    """One token, and the text that is complete with it."""

    token: int | None
    """None in a last step that only brings text which was held back."""
    logprob: float
    text: str


class Generation:
    """An iterator of steps. It can be closed at any time, from any thread, and leaves the session usable.

    It stops between two computations: of the prompt's chunks, of tokens. What it made so far is in `reply`.
    """

    def __init__(
        self,
        session: Session,
        prompt_ids: Ids,
        options: Options,
        tokenizer: Tokenizer | None = None,
        progress: Progress | None = None,
    ) -> None:
        if options.stop and tokenizer is None:
            raise UsageError("stop strings need a tokenizer", "this model is driven by token ids: stop at ids")
        self._session = session
        self._prompt = _checked_prompt(prompt_ids, session)
        self._options = options
        self._text = _Text(tokenizer, options.stop)
        self._progress = _Watch(progress or Silent())
        self._tokens: list[int] = []
        self._logprobs: list[float] = []
        self._pieces: list[str] = []
        self._reused = 0
        self._prefill_seconds = 0.0
        self._decode_tokens = 0
        self._decode_seconds = 0.0
        self._finish_reason: FinishReason = "cancelled"  # until it ended otherwise
        self._steps = self._run()

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        return next(self._steps)

    def close(self) -> None:
        """Stop. While another thread is within a step, that step is the last one."""
        self._progress.cancelled = True
        try:
            self._steps.close()
        except ValueError:  # it runs in another thread, which sees the mark
            return

    @property
    def running(self) -> bool:
        """Whether it is within a step, in some thread."""
        return inspect.getgeneratorstate(self._steps) == inspect.GEN_RUNNING

    @property
    def reply(self) -> Reply:
        """What there is of the answer."""
        timings = Timings(
            prompt_tokens=len(self._prompt),
            reused_tokens=self._reused,
            prefill_seconds=self._prefill_seconds,
            decode_tokens=self._decode_tokens,
            decode_seconds=self._decode_seconds,
        )
        return Reply(
            text="".join(self._pieces),
            tokens=tuple(self._tokens),
            logprobs=tuple(self._logprobs),
            finish_reason=self._finish_reason,
            timings=timings,
        )

    def _run(self) -> Generator[Step, None, None]:
        try:
            yield from self._decode(*self._prefill())
        except _CancelledError:
            return

    def _prefill(self) -> tuple[npt.NDArray[np.float32], float]:
        """Compute what is not in the cache, at least the last token; return its logits and when it began."""
        began = time.perf_counter()
        # The last token is left out, so that it is computed in any case: its logits are not in the cache.
        self._reused = self._session.align(self._prompt[:-1].tolist())
        new = self._prompt[self._reused :]
        self._progress.start("Reading the prompt", len(new), "tokens")
        try:
            logits = self._session.forward(new, progress=self._progress)
        finally:
            self._progress.finish()
        return logits[-1], began

    def _decode(self, logits: npt.NDArray[np.float32], began: float) -> Iterator[Step]:
        sampler = Sampler(self._options.sampling)
        length = len(self._prompt)
        # The last token needs no room: it is not computed.
        limit = self._session.context - length + 1
        limit = min(limit, self._options.max_tokens or limit)
        history = np.empty(length + limit, np.int64)
        history[:length] = self._prompt
        for count in range(limit):
            if count:
                began = time.perf_counter()
                logits = self._session.forward(history[length + count - 1 : length + count])[-1]
            token, logprob = sampler.choose(logits, history[: length + count])
            ended = token in self._options.eos_ids
            if not ended:
                history[length + count] = token
                step = self._keep(Step(token, logprob, self._text.push(token)))
            self._measure(count, time.perf_counter() - began)
            if ended:
                self._finish_reason = "stop"
                break
            yield step
            if self._text.stopped:
                self._finish_reason = "stop"
                return
            self._progress.check()
        else:
            self._finish_reason = "length"
        if rest := self._text.flush():
            yield self._keep(Step(None, 0.0, rest))
        if self._text.stopped:
            self._finish_reason = "stop"

    def _keep(self, step: Step) -> Step:
        if step.token is not None:
            self._tokens.append(step.token)
            self._logprobs.append(step.logprob)
        self._pieces.append(step.text)
        return step

    def _measure(self, count: int, seconds: float) -> None:
        if count:
            self._decode_tokens += 1
            self._decode_seconds += seconds
        else:
            self._prefill_seconds = seconds


def generate(
    session: Session,
    prompt_ids: Ids,
    options: Options | None = None,
    tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> Generation:
    """Generate an answer to a prompt; what the session's cache shares with the prompt is not computed again.

    Args:
        session: Holds the model; its cache afterwards holds the prompt and all tokens of the answer but the last.
        prompt_ids: At least one id.
        options: How and how long; greedy without end by default.
        tokenizer: Makes the steps' text; without one they have none.
        progress: Is told of the prompt's tokens as they are computed.

    Raises:
        UsageError: no prompt, an id outside of the vocabulary, or stop strings without a tokenizer.
        ContextError: the prompt is longer than the context; nothing was computed.
    """
    return Generation(session, prompt_ids, options or Options(), tokenizer, progress)


class _CancelledError(Exception):
    """Ends a generation from within."""


class _Watch:
    """Passes progress on, and ends the work in it once it is cancelled."""

    def __init__(self, progress: Progress) -> None:
        self.cancelled = False
        self.start = progress.start
        self.finish = progress.finish
        self._progress = progress

    def advance(self, amount: int) -> None:
        self._progress.advance(amount)
        self.check()

    def check(self) -> None:
        if self.cancelled:
            raise _CancelledError


class _Text:
    """The text of tokens up to the first stop string; nothing at all without a tokenizer."""

    def __init__(self, tokenizer: Tokenizer | None, stop: tuple[str, ...]) -> None:
        self._stream = None if tokenizer is None else TextStream(tokenizer)
        self._stops = StopStrings(stop)

    @property
    def stopped(self) -> bool:
        return self._stops.found is not None

    def push(self, token: int) -> str:
        return "" if self._stream is None else self._stops.push(self._stream.push(token))

    def flush(self) -> str:
        return "" if self._stream is None else self._stops.push(self._stream.flush()) + self._stops.flush()


def _checked_prompt(ids: Ids, session: Session) -> npt.NDArray[np.int64]:
    try:
        prompt = np.asarray(ids)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"the prompt's ids are no plain list of numbers: {error}") from error
    if prompt.size == 0:
        raise UsageError("the prompt is empty", "give at least one token")
    if prompt.ndim != 1 or prompt.dtype.kind not in "iu":
        shape = "×".join(map(str, prompt.shape))
        raise UsageError(f"the prompt's ids are {prompt.dtype} of shape {shape}; they must be whole numbers in a row")
    outside = prompt[(prompt < 0) | (prompt >= session.vocab_size)]
    if len(outside):
        raise UsageError(f"token id {outside[0]} is not within the vocabulary 0..{session.vocab_size - 1}")
    if len(prompt) > session.context:
        raise ContextError(
            f"the prompt has {len(prompt):,} tokens and the context holds {session.context:,}",
            "shorten it, or load the bundle with a larger context",
        )
    return prompt.astype(np.int64)


def _rate(tokens: int, seconds: float) -> float:
    return tokens / seconds if seconds > 0 else 0.0

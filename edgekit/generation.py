"""The loop that turns a prompt's ids into an answer, one token at a time, over any session."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.decoding import Chosen, Constraint, Decoding, Session
from edgekit.errors import ContextError, UsageError
from edgekit.guessing import Drafter
from edgekit.progress import Progress, Silent
from edgekit.rolling import Overflow, Rolling
from edgekit.sampling import Sampler, Sampling
from edgekit.streaming import StopStrings, TextStream
from edgekit.tools import Tool, ToolCall, read_calls

if TYPE_CHECKING:
    from edgekit.tokenizer import Tokenizer

FinishReason = Literal["stop", "length", "cancelled"]
Ids = Sequence[int] | npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an answer is made and where it ends.

    Raises:
        UsageError: no tokens, or an empty stop string.
    """

    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    """None goes on until the model ends or the context is full."""
    overflow: Overflow = "stop"
    """What happens once the context is full: "stop" ends the answer, "error" says so, "roll" leaves out old turns."""
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
    """Tokens after those of the first pass, and the end of the sequence where it came."""
    decode_seconds: float
    passes: int
    """Passes over the weights that these took: as many as tokens, unless some were forced or guessed rightly."""
    forced_tokens: int
    """Tokens that a schema left no choice about."""
    guessed_tokens: int
    """Guesses that were computed along with a pass."""
    accepted_tokens: int
    """Guesses that were right."""

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
    """Of each token: the natural logarithm of its probability under the model's own logits; 0 where it was forced."""
    finish_reason: FinishReason
    """"stop": the model ended or a stop string came; "length": max_tokens or the context; "cancelled": closed."""
    timings: Timings
    value: Any = None
    """What an answer with a schema says, as the schema has it; None without one, and where it was cut."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What the model wants to be called, where it was given tools."""
    dropped_messages: int = 0
    """How many of the oldest messages (the opening ones do not count) were left out to make room."""

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
        *,
        drafter: Drafter | None = None,
        constraint: Constraint | None = None,
        rolling: Rolling | None = None,
        tools: Sequence[Tool] = (),
    ) -> None:
        if options.stop and tokenizer is None:
            raise UsageError("stop strings need a tokenizer", "this model is driven by token ids: stop at ids")
        if options.stop and constraint is not None:
            raise UsageError("a schema says where an answer ends, and so does a stop string", "leave out one of them")
        self.prompt = _checked_prompt(prompt_ids, session)
        """Its ids, int64 [n]."""
        self._options = options
        self._constraint = constraint
        self._rolling = rolling
        self._tools = tools
        self._context = session.context
        self._text = _Text(tokenizer, options.stop)
        self._progress = _Watch(progress or Silent())
        self._decoding = Decoding(
            session,
            self.prompt,
            Sampler(options.sampling),
            options.max_tokens,
            roll=rolling.roll if rolling else None,
            drafter=drafter,
            constraint=constraint,
            progress=self._progress,
        )
        self._tokens: list[int] = []
        self._logprobs: list[float] = []
        self._pieces: list[str] = []
        self._prefill_seconds = 0.0
        self._decode_tokens = 0
        self._decode_seconds = 0.0
        self._finish_reason: FinishReason = "cancelled"  # until it ended otherwise
        self._value: Any = None
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
    def ended(self) -> bool:
        """Whether no step will follow."""
        return inspect.getgeneratorstate(self._steps) == inspect.GEN_CLOSED

    @property
    def reply(self) -> Reply:
        """What there is of the answer."""
        counts = self._decoding.counts
        timings = Timings(
            prompt_tokens=len(self.prompt),
            reused_tokens=counts.reused_tokens,
            prefill_seconds=self._prefill_seconds,
            decode_tokens=self._decode_tokens,
            decode_seconds=self._decode_seconds,
            passes=counts.passes,
            forced_tokens=counts.forced_tokens,
            guessed_tokens=counts.guessed_tokens,
            accepted_tokens=counts.accepted_tokens,
        )
        text = "".join(self._pieces)
        return Reply(
            text=text,
            tokens=tuple(self._tokens),
            logprobs=tuple(self._logprobs),
            finish_reason=self._finish_reason,
            timings=timings,
            value=self._value,
            tool_calls=read_calls(text, self._tools) if self._tools else (),
            dropped_messages=self._rolling.dropped if self._rolling else 0,
        )

    def _run(self) -> Generator[Step, None, None]:
        try:
            with contextlib.closing(self._decoding.run(self._progress.check)) as chosen:
                yield from self._read(chosen)
        except _CancelledError:
            return

    def _read(self, chosen: Iterator[Chosen]) -> Iterator[Step]:
        finish_reason: FinishReason = "length"
        for each in chosen:
            self._measure(each)
            if each.token in self._options.eos_ids:
                finish_reason = "stop"
                break
            step = self._keep(Step(each.token, each.logprob, self._text.push(each.token)))
            yield step
            if self._text.stopped:
                self._finish_reason = "stop"
                return
            if each.whole:
                finish_reason = "stop"
                break
        if finish_reason == "length" and self._options.overflow == "error":
            self._refuse_overflow()
        self._finish_reason = finish_reason
        if rest := self._text.flush():
            yield self._keep(Step(None, 0.0, rest))
        if self._text.stopped:
            self._finish_reason = "stop"
        if self._constraint is not None and self._finish_reason == "stop":
            self._value = self._constraint.value("".join(self._pieces))

    def _refuse_overflow(self) -> None:
        if len(self._tokens) != self._options.max_tokens:
            raise ContextError(
                f"the answer fills the context of {self._context:,} tokens and has not ended",
                "load the bundle with a larger context, set max_tokens, or let it overflow otherwise",
            )

    def _keep(self, step: Step) -> Step:
        if step.token is not None:
            self._tokens.append(step.token)
            self._logprobs.append(step.logprob)
        self._pieces.append(step.text)
        return step

    def _measure(self, chosen: Chosen) -> None:
        if chosen.decoded:
            self._decode_tokens += 1
            self._decode_seconds += chosen.seconds
        else:
            self._prefill_seconds += chosen.seconds


def generate(
    session: Session,
    prompt_ids: Ids,
    options: Options | None = None,
    tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
    *,
    drafter: Drafter | None = None,
    constraint: Constraint | None = None,
    rolling: Rolling | None = None,
    tools: Sequence[Tool] = (),
) -> Generation:
    """Generate an answer to a prompt; what the session's cache shares with the prompt is not computed again.

    Args:
        session: Holds the model; its cache afterwards holds the prompt and the answer, but for tokens that no pass was
            needed behind: the last one, and those that a constraint forced in front of it.
        prompt_ids: At least one id.
        options: How and how long; greedy without end by default.
        tokenizer: Makes the steps' text; without one they have none.
        progress: Is told of the prompt's tokens as they are computed.
        drafter: Guesses at tokens to come, which are checked along with a pass.
        constraint: What the answer must look like.
        rolling: Makes room once the context is full; `prompt_ids` are its own.
        tools: What the prompt says may be called: calls in the answer are read.

    Raises:
        UsageError: no prompt, an id outside of the vocabulary, or stop strings without a tokenizer.
        ContextError: the prompt is longer than the context; nothing was computed.
    """
    return Generation(
        session,
        prompt_ids,
        options or Options(),
        tokenizer,
        progress,
        drafter=drafter,
        constraint=constraint,
        rolling=rolling,
        tools=tools,
    )


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

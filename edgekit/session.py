"""The one session over every engine: what is in the cache, bounds, chunks, rewinding, saving."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit.decoder import Decoder, Float32, LoadOptions, Tokens
from edgekit.errors import ContextError, EdgekitError, SessionBusyError, UsageError
from edgekit.kvfile import read_state, write_state
from edgekit.machine import read_cpu
from edgekit.pass_costs import PassCosts
from edgekit.pass_timing import costs_here
from edgekit.progress import Progress, Silent
from edgekit.registry import choose_runtime, pass_costs

if TYPE_CHECKING:
    from edgekit.bundle import Bundle

NO_COSTS = PassCosts()
CHUNK = 512
"""Tokens computed at once in a long input: large enough for full speed, small enough to stop and to show progress."""


class DecoderSession:
    """A loaded model with its cache. Batch 1, one caller at a time: a second one gets `SessionBusyError`.

    `identity` names the weights, the format and the engine; a saved cache is taken back only where it is the same.
    `border` is LongRoPE's: once the total length passes it, every position is computed with another table, so
    crossing it, or going back over it, computes the tokens again. Without `pass_costs` nothing is guessed ahead; a
    function is asked for them once, when they are needed.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        identity: str = "",
        border: int | None = None,
        pass_costs: PassCosts | Callable[[DecoderSession], PassCosts] = NO_COSTS,
    ) -> None:
        self._decoder = decoder
        self.identity = identity
        self.border = border
        self._pass_costs = pass_costs
        self._tokens: list[int] = []
        self._long = False
        self._closed = False
        self._lock = threading.Lock()

    @property
    def vocab_size(self) -> int:
        """Size of a row of logits."""
        return self._decoder.vocab_size

    @property
    def context(self) -> int:
        """Capacity in tokens."""
        return self._decoder.context

    @property
    def pass_costs(self) -> PassCosts:
        """What a pass over several tokens costs beside one over a single token."""
        if not isinstance(self._pass_costs, PassCosts):
            self._pass_costs = self._pass_costs(self)
        return self._pass_costs

    @property
    def tokens(self) -> tuple[int, ...]:
        """The tokens whose keys and values are in the cache."""
        return tuple(self._tokens)

    @property
    def length(self) -> int:
        """How many tokens are in the cache."""
        return len(self._tokens)

    def forward(
        self, tokens: Sequence[int] | npt.NDArray[np.integer], last: int = 1, progress: Progress | None = None
    ) -> Float32:
        """Append tokens and return the logits after the last ones: float32 [last, vocab_size].

        Args:
            tokens: Ids within the vocabulary, at least one.
            last: How many of them, 1..len(tokens).
            progress: Is told of every computed token.

        Raises:
            ContextError: they do not fit; nothing was computed.
            UsageError: no tokens, an id outside of the vocabulary, or `last` out of range.
            SessionBusyError: another caller is at work.
        """
        new = np.asarray(tokens).reshape(-1)
        if new.size and new.dtype.kind not in "iu":
            raise UsageError(f"token ids are whole numbers, not {new.dtype}")
        new = new.astype(np.int64)
        with self._exclusive():
            self._check(new, last)
            return self._forward(new, last, progress or Silent())

    def align(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> int:
        """Keep the longest prefix that the cache has in common with `tokens`, forget the rest, return its length."""
        with self._exclusive():
            common = common_prefix(self._tokens, tokens)
            del self._tokens[common:]
            return common

    def rewind(self, length: int) -> None:
        """Forget all tokens behind the first `length`, as if they had never been seen.

        Raises:
            UsageError: there are not that many.
        """
        with self._exclusive():
            if not 0 <= length <= len(self._tokens):
                raise UsageError(f"cannot rewind to {length} tokens: the session holds {len(self._tokens)}")
            del self._tokens[length:]

    def save(self, path: str | Path, notes: Mapping[str, Any] | None = None) -> None:
        """Write the cache and its tokens to a file, which `restore` takes back in any process with the same bundle.

        `notes` are JSON values of the caller's own, which `restore` returns.
        """
        with self._exclusive():
            self._refresh()
            # Of no tokens an engine may have no arrays.
            arrays = dict(self._decoder.read_cache(len(self._tokens))) if self._tokens else {}
            write_state(Path(path), self.identity, self._tokens, arrays, notes)

    def restore(self, path: str | Path) -> dict[str, Any]:
        """Take back what `save` wrote, and return its notes; what the session held is forgotten.

        Raises:
            ForeignStateError: the file is of another model, format, runtime or cache precision; nothing is forgotten.
            EdgekitError: the file is damaged, or longer than this session's context.
        """
        with self._exclusive():
            state = read_state(Path(path), self.identity)
            if len(state.tokens) > self.context:
                raise ContextError(
                    f"{path} holds {len(state.tokens)} tokens; this session's context is {self.context}",
                    "load the bundle with a larger context",
                )
            if any(not 0 <= token < self.vocab_size for token in state.tokens):
                raise EdgekitError(f"{path} holds tokens outside of the vocabulary", "it is damaged: remove it")
            # From here on the old contents are gone: should writing fail half-way, the session is empty, not mixed.
            self._tokens = []
            if state.tokens:
                self._decoder.write_cache(state.arrays, len(state.tokens))
            self._tokens = list(state.tokens)
            self._long = self._is_long(len(self._tokens))
            return state.notes

    def close(self) -> None:
        """Free the engine's memory. Closing twice does nothing."""
        with self._exclusive(allow_closed=True):
            if not self._closed:
                self._closed = True
                self._decoder.close()

    def __enter__(self) -> DecoderSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, new: Tokens, last: int) -> None:
        if not len(new):
            raise UsageError("no tokens to compute")
        if new.min() < 0 or new.max() >= self.vocab_size:
            bad = next(int(token) for token in new if not 0 <= token < self.vocab_size)
            raise UsageError(f"token id {bad} is not within the vocabulary 0..{self.vocab_size - 1}")
        if not 1 <= last <= len(new):
            raise UsageError(f"logits of the last {last} of {len(new)} tokens were asked for")
        if len(self._tokens) + len(new) > self.context:
            raise ContextError(
                f"{len(self._tokens)} tokens in the session and {len(new)} more do not fit its {self.context}",
                "rewind, or load the bundle with a larger context",
            )

    def _forward(self, new: Tokens, last: int, progress: Progress) -> Float32:
        reach = len(self._tokens) + len(new)
        if self._tokens and self._long != self._is_long(reach):
            # Every position must see the table that the new total length selects: all of them in one computation.
            new = np.concatenate([np.asarray(self._tokens, np.int64), new])
            self._tokens = []
        self._long = self._is_long(reach)
        rows: list[Float32] = []
        wanted_from = len(new) - last
        for start in range(0, len(new), CHUNK):
            chunk = new[start : start + CHUNK]
            stop = start + len(chunk)
            logits = self._decoder.step(chunk, len(self._tokens), max(0, stop - max(wanted_from, start)), reach)
            self._tokens.extend(chunk.tolist())
            progress.advance(len(chunk))
            if len(logits):
                rows.append(logits)
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _is_long(self, length: int) -> bool:
        """Whether a sequence of this length is computed with LongRoPE's second table."""
        return self.border is not None and length > self.border

    def _refresh(self) -> None:
        """Compute the tokens again if the session was rewound over the border: a saved cache must fit its length."""
        if self._tokens and self._long != self._is_long(len(self._tokens)):
            tokens, self._tokens = np.asarray(self._tokens, np.int64), []
            self._forward(tokens, 1, Silent())

    @contextmanager
    def _exclusive(self, *, allow_closed: bool = False) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise SessionBusyError("the session is at work for another caller", "load the bundle once per thread")
        try:
            if self._closed and not allow_closed:
                raise EdgekitError("the session is closed", "load the bundle again")
            yield
        finally:
            self._lock.release()


def common_prefix(first: Sequence[int], second: Sequence[int] | npt.NDArray[np.integer]) -> int:
    """Return the length of the longest prefix that two sequences of ids have in common."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != int(other):
            break
        count += 1
    return count


def open_session(bundle: Bundle, runtime: str, options: LoadOptions) -> DecoderSession:
    """Load a `generate` bundle with a runtime by name, or with the one that suits it ("auto").

    Raises:
        EdgekitError: no runtime can, or the bundle cannot be loaded.
    """
    chosen = choose_runtime(bundle, runtime)
    entry = bundle.manifest.formats[chosen.format]
    weights = hashlib.sha256("".join(bundle.manifest.files[name].sha256 for name in entry.files).encode())
    identity = f"{chosen.name} {chosen.available().version} {options.kv} {weights.hexdigest()}"
    decoder = chosen.open_decoder(bundle, options)
    border = bundle.manifest.decoder_spec.border

    def find_pass_costs(session: DecoderSession) -> PassCosts:
        # Not before a guess needs them: a load reads nothing for it.
        cpu = read_cpu()
        key = f"{identity} {options.threads} {cpu.name} {cpu.features} {cpu.physical_cores}"
        return pass_costs(bundle, chosen, lambda: costs_here(session, key))

    return DecoderSession(decoder, identity=identity, border=border, pass_costs=find_pass_costs)

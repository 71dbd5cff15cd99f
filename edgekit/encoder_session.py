"""The one session over every engine that reads whole texts: checks what it is given, one caller at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from edgekit.decoder import Encoder, EncoderRuntime, Float32, LoadOptions
from edgekit.errors import ContextError, EdgekitError, SessionBusyError, UsageError
from edgekit.registry import choose_runtime

if TYPE_CHECKING:
    from edgekit.bundle import Bundle

Integers = npt.NDArray[np.integer]


class EncoderSession:
    """A loaded encoder. One caller at a time: a second one gets `SessionBusyError`."""

    def __init__(self, encoder: Encoder, *, vocab_size: int, context: int) -> None:
        self._encoder = encoder
        self.vocab_size = vocab_size
        self.context = context
        """The longest text in tokens."""
        self._closed = False
        self._lock = threading.Lock()

    def encode(self, ids: Integers, mask: Integers) -> Float32:
        """Compute a batch of texts, each padded at its end; padding changes nothing but the time it takes.

        Args:
            ids: Token ids [batch, n]; where the mask is 0 any id within the vocabulary.
            mask: [batch, n]: ones, and behind them zeros where a text is padded.

        Returns:
            float32: hidden states [batch, n, width] where the task is `embed`, token logits [batch, n, labels] for
            `tag`, logits [batch, labels] for `classify`. What stands where the mask is 0 means nothing.

        Raises:
            ContextError: a text is longer than the context.
            UsageError: an empty batch or text, shapes that differ, ids outside of the vocabulary, another mask.
            SessionBusyError: another caller is at work.
        """
        tokens, kept = self._checked(ids, mask)
        if not self._lock.acquire(blocking=False):
            raise SessionBusyError("the session is at work for another caller", "load the bundle once per thread")
        try:
            if self._closed:
                raise EdgekitError("the session is closed", "load the bundle again")
            return self._encoder.encode(tokens, kept)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Free the engine's memory. Closing twice does nothing.

        Raises:
            SessionBusyError: it is at work for another thread.
        """
        if not self._lock.acquire(blocking=False):
            raise SessionBusyError("the session is at work for another caller", "close it when that has ended")
        try:
            if not self._closed:
                self._closed = True
                self._encoder.close()
        finally:
            self._lock.release()

    def __enter__(self) -> EncoderSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, ids: Integers, mask: Integers) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        tokens, kept = np.asarray(ids), np.asarray(mask)
        if tokens.ndim != 2 or tokens.shape != kept.shape or not tokens.size:
            raise UsageError(f"ids {list(tokens.shape)} and mask {list(kept.shape)} are not both [batch, n]")
        if tokens.dtype.kind not in "iu" or kept.dtype.kind not in "iub":
            raise UsageError(f"ids and mask are whole numbers, not {tokens.dtype} and {kept.dtype}")
        tokens, kept = tokens.astype(np.int64), kept.astype(np.int64)
        if tokens.shape[1] > self.context:
            raise ContextError(
                f"a text of {tokens.shape[1]} tokens does not fit the context of {self.context}", "cut it into parts"
            )
        bad = tokens[(tokens < 0) | (tokens >= self.vocab_size)]
        if bad.size:
            raise UsageError(f"token id {bad[0]} is not within the vocabulary 0..{self.vocab_size - 1}")
        lengths = kept.sum(axis=1)
        if not (kept == (np.arange(kept.shape[1]) < lengths[:, None])).all() or not lengths.all():
            raise UsageError("a mask has ones, at least one, and behind them zeros", "pad texts at their ends")
        return np.ascontiguousarray(tokens), np.ascontiguousarray(kept)


def open_encoder_session(bundle: Bundle, runtime: str, options: LoadOptions) -> EncoderSession:
    """Load an `embed`, `classify` or `tag` bundle with a runtime by name, or with the one that suits it ("auto").

    Raises:
        EdgekitError: no runtime can, or the bundle cannot be loaded.
    """
    chosen = choose_runtime(bundle, runtime)
    spec = bundle.manifest.encoder_spec
    encoder = cast("EncoderRuntime", chosen).open_encoder(bundle, options)
    return EncoderSession(encoder, vocab_size=spec.vocab_size, context=options.context)

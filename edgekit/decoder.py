"""What a runtime gives: a `Decoder` or an `Encoder`, the thin adapter over one engine, and how it is opened.

A runtime is a module `edgekit_runtimes.NAME` with an object `RUNTIME` that satisfies `Runtime`.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.errors import install_hint

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.machine import Processor
    from edgekit.planning.footprint import Footprint, Use
    from edgekit.planning.outline import FormatOutline

Float32 = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]
KvPrecision = Literal["auto", "f32", "f16", "int8"]


DEFAULT_CONTEXT = 4096
"""Tokens of context where a model has more and nobody asks for more: every token of a cache is memory."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a session is opened."""

    context: int
    """Capacity of the cache, or of a text, in tokens: at most the format's `context_max`."""
    threads: int | None = None
    """None leaves the choice to the runtime (the physical cores)."""
    kv: KvPrecision = "auto"


class Decoder(Protocol):
    """A loaded model with the cache it owns. No text, no sampling, no policy: `DecoderSession` brings those."""

    vocab_size: int
    context: int

    def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
        """Compute n tokens at positions start..start+n; what lay at start and behind is forgotten.

        Args:
            tokens: int64 [n], checked by the session.
            start: Position of the first; everything before it is in the cache.
            last: How many of the last tokens' logits are wanted, 0..n: none of a chunk that others follow.
            reach: The total length that the input will have once all its chunks are computed. The larger of this
                and start + n selects LongRoPE's table; without LongRoPE it means nothing.

        Returns:
            Logits of the last `last` of them, float32 [last, vocab_size]; the array is the caller's.
        """

    def read_cache(self, upto: int) -> Mapping[str, npt.NDArray[Any]]:
        """Return copies of the cache's arrays for positions 0..upto, by names that `write_cache` takes back."""

    def write_cache(self, state: Mapping[str, npt.NDArray[Any]], length: int) -> None:
        """Put back what `read_cache(length)` gave, from position 0 on.

        Raises:
            EdgekitError: arrays of other names, types or numbers of positions.
        """

    def close(self) -> None:
        """Free the engine's memory; later calls are errors."""


class Encoder(Protocol):
    """A loaded encoder. `EncoderSession` checks what it is given."""

    def encode(self, ids: Tokens, mask: Tokens) -> Float32:
        """Compute a batch of texts.

        Args:
            ids: int64 [batch, n], each text padded at its end.
            mask: int64 [batch, n], 1 where there is a token.

        Returns:
            Hidden states [batch, n, width], or logits [batch, labels] or, of tokens, [batch, n, labels]. What it says
            of padding means nothing; the array is the caller's.
        """

    def close(self) -> None:
        """Free the engine's memory; later calls are errors."""


@dataclass(frozen=True)
class Availability:
    """Whether a runtime can work here: its engine's version, or why not and what to do."""

    ok: bool
    version: str = ""
    reason: str = ""
    hint: str = ""


def find_engine(package: str, oldest: tuple[int, int], extra: str) -> Availability:
    """Say whether a package is installed in a version that is not older than `oldest`; `extra` is what brings it."""
    version, hint = installed_version(package), install_hint(extra)
    if version is None:
        return Availability(ok=False, reason=f"{package} is not installed", hint=hint)
    # A candidate for a release, "2026.4.0rc1", counts as the release.
    found = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if found < oldest:
        reason = f"{package} {version} is older than {'.'.join(map(str, oldest))}"
        return Availability(ok=False, version=version, reason=reason, hint=hint)
    return Availability(ok=True, version=version)


def installed_version(package: str) -> str | None:
    """Return a package's version without importing it; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


class Runtime(Protocol):
    """One engine, as a module of `edgekit_runtimes` offers it in `RUNTIME`."""

    name: str
    format: str
    """The format it executes."""

    def footprint(self, outline: FormatOutline, use: Use) -> Footprint:
        """Return the memory that a model will take, whether or not the engine is installed.

        Raises:
            UsageError: the runtime has no such cache.
        """

    def advises_against(self, outline: FormatOutline, processor: Processor) -> str:
        """Say why "auto" should not take this runtime for a model on such a processor; "" where it may."""

    def available(self) -> Availability:
        """Say whether the engine is installed and suits this machine, without importing it where that is possible."""

    def open_decoder(self, bundle: Bundle, options: LoadOptions) -> Decoder:
        """Load a `generate` bundle.

        Raises:
            EdgekitError: it cannot be loaded; the message names the file or the option.
        """


class EncoderRuntime(Runtime, Protocol):
    """A runtime that opens encoders as well."""

    def open_encoder(self, bundle: Bundle, options: LoadOptions) -> Encoder:
        """Load an `embed`, `classify` or `tag` bundle.

        Raises:
            EdgekitError: it cannot be loaded; the message names the file or the option.
        """


class FormedRuntime(Runtime, Protocol):
    """A runtime whose engine can hold the cache in more than one form."""

    def form(self, bundle: Bundle) -> str:
        """Return the word for the form that serves a bundle."""

"""The memory that a model takes while it computes, in the parts that a runtime tells apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.decoder import KvPrecision
from edgekit.machine import Processor

CHUNK = 512
"""Tokens of a prompt that are computed at once (`session.CHUNK`): activations are theirs."""
TEXTS = 16 * 128
"""Tokens of a batch that an encoder computes at once: texts of a paragraph."""

PYTHON = 50_000_000
"""Bytes of a program before any engine: Python, numpy and EdgeKit take 40 MB (measured on Linux with Python 3.11), the
command line or a tokenizer the rest."""

ROOM = 0.9
"""Of the free memory: more leaves no room for whatever else the program holds."""

CACHE_BYTES: dict[KvPrecision, float] = {"f32": 4, "f16": 2, "int8": 1}


@dataclass(frozen=True, kw_only=True)
class Use:
    """How a model will be used."""

    context: int
    """Tokens that its cache holds, or that a text has."""
    kv: KvPrecision
    processor: Processor


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes at the peak: behind a long prompt, with a full cache."""

    mapped: int
    """Weights in mapped files: the system may drop their pages and read them again, which costs time."""
    copies: int
    """Weights that the engine has rearranged into memory of its own."""
    cache: int
    activations: int
    program: int
    """Python, numpy, the engine's code, and what it keeps of the graph."""

    @property
    def own(self) -> int:
        """Bytes that nobody gets back while the model is loaded."""
        return self.copies + self.cache + self.activations + self.program

    @property
    def total(self) -> int:
        """Bytes that a model must find for full speed."""
        return self.own + self.mapped


def fit(memory: Footprint, free: int) -> tuple[str, str]:
    """Return "fits", "tight" or "too large", and why; `free` are the bytes that a program can have."""
    if memory.total <= ROOM * free:
        return "fits", ""
    total, own, mapped, available = (in_words(size) for size in (memory.total, memory.own, memory.mapped, free))
    if memory.total <= free:
        return "tight", f"{total} of the {available} that are free leave no room for others"
    if memory.own <= ROOM * free:
        again = in_words(memory.total - free)
        why = f"{own} of its own fit in the {available} that are free, {mapped} of mapped weights do not"
        return "too large", f"{why}: {again} and more would be read from the disk for every token"
    return "too large", f"it needs {total}, and {available} are free"


def largest_context(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest context, up to `most`, that `fits` says yes to; 0 where none does."""
    if not fits(1):
        return 0
    low, high = 1, most + 1  # fits(low), and high is too many
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def in_words(count: float) -> str:
    """Return bytes as people say them."""
    return f"{count / 1e9:.2f} GB" if count >= 0.995e9 else f"{count / 1e6:.0f} MB"

"""A TFLite model as a `Decoder`, over either engine: plans, positions, masks, and the cache as numpy arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.bundle import Bundle
from edgekit.decoder import Float32, LoadOptions, Tokens
from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit_runtimes._saved_cache import copy_saved
from edgekit_runtimes._tflite_plan import Plan, Signature, feeds

NAME = re.compile(r"(?:span\d+_)?(decode|chunk|prefill)(?:_(\d+))?")


class EngineError(EdgekitError):
    """The engine refused; the text is its own."""


class Engine(Protocol):
    """A loaded model."""

    inputs: dict[str, dict[str, tuple[int, ...]]]
    """The shapes of each signature's inputs."""

    @property
    def cache(self) -> dict[str, Float32]:
        """The cache as the next run will read it: vectors, one token's keys (or values) behind the other's."""

    def run(self, key: str, feeds: Mapping[str, npt.NDArray[Any]]) -> Float32 | None:
        """Run a signature and return its logits [n, vocab], if it has some."""

    def close(self) -> None:
        """Free everything."""


class TfliteDecoder:
    """The decoder that the session drives."""

    def __init__(self, bundle: Bundle, options: LoadOptions, engine: Engine) -> None:
        spec = bundle.manifest.decoder_spec
        self.vocab_size: int = spec.vocab_size
        self.context = options.context
        self._border: int | None = spec.border
        self._engine = engine
        signatures = read_signatures(engine.inputs)
        self._capacity = max((signature.span for signature in signatures.values()), default=0)
        self._plan = Plan(signatures)
        self._widths = {
            f"kv_cache_{part}_{i}": layer.kv_size for i, layer in enumerate(spec.layers) for part in ("k", "v")
        }
        sizes = {name: len(array) for name, array in engine.cache.items()}
        fits = set(sizes) == set(self._widths) and all(
            sizes[name] % width == 0 and sizes[name] // width >= self._capacity for name, width in self._widths.items()
        )
        if "decode" not in signatures or not fits:
            raise BundleError(f"{bundle.path}: the TFLite model does not fit the manifest's spec", "export it again")
        if options.context > self._capacity:
            raise UsageError(
                f"a context of {options.context} was asked for, the TFLite model holds {self._capacity}",
                f"load it with a context of at most {self._capacity}, or export it again with a larger one",
            )

    def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
        """Compute tokens over the cache."""
        rows: list[Float32] = []
        long = self._border is not None and max(reach, start + len(tokens)) > self._border
        offset = np.array([self._border if long else 0], np.int32)
        for call in self._plan.calls(len(tokens), start, last):
            part = tokens[call.first : call.first + call.count]
            inputs = feeds(call.signature, part, start + call.first, self._capacity)
            logits = self._engine.run(call.signature.name, {**inputs, "rope_offset": offset})
            wanted = max(0, len(tokens) - last - call.first)
            if logits is not None and wanted < call.count:
                rows.append(logits[wanted : call.count])
        if len(rows) == 1:
            return rows[0]
        return np.concatenate(rows) if rows else np.empty((0, self.vocab_size), np.float32)

    def read_cache(self, upto: int) -> Mapping[str, npt.NDArray[Any]]:
        """Return [upto, kv_heads * head_dim] of each layer and part."""
        cache = self._engine.cache
        return {name: cache[name][: upto * width].reshape(upto, width).copy() for name, width in self._widths.items()}

    def write_cache(self, state: Mapping[str, npt.NDArray[Any]], length: int) -> None:
        """Write into the arrays that the engine computes in."""
        cache = self._engine.cache
        into = {name: cache[name][: length * width].reshape(length, width) for name, width in self._widths.items()}
        copy_saved(state, into)

    def works_in_place(self) -> bool:
        """Say whether the engine may read and write one cache: nothing documents that it may, so it is tried.

        Two tokens are computed; then the second again, with its old keys and values made unusable: it must write its
        own before it attends, leave the first token's alone, and come to the same logits. The cache is left empty.
        """
        cache, widths = self._engine.cache, self._widths
        zero = np.zeros(1, np.int64)
        self.step(zero, 0, 1)
        if self._capacity == 1:
            return True
        first = {name: cache[name][:width].copy() for name, width in widths.items()}
        expected = self.step(zero, 1, 1)
        for name, width in widths.items():
            cache[name][width : 2 * width] = np.nan
        again = self.step(zero, 1, 1)
        kept = all(np.array_equal(cache[name][:width], first[name]) for name, width in widths.items())
        written = all(np.isfinite(cache[name][: 2 * width]).all() for name, width in widths.items())
        alone = all(not cache[name][2 * width : 3 * width].any() for name, width in widths.items())
        for name, width in widths.items():
            cache[name][: 2 * width] = 0
        return kept and written and alone and np.array_equal(expected, again) and any(map(np.any, first.values()))

    def close(self) -> None:
        """Free the engine's memory."""
        self._engine.close()


def read_signatures(inputs: Mapping[str, Mapping[str, tuple[int, ...]]]) -> dict[str, Signature]:
    """Return the signatures that a model has, of those that we know."""
    found = {}
    for name, shapes in inputs.items():
        match = NAME.fullmatch(name)
        if match and {"tokens", "mask"} <= set(shapes):
            found[name] = Signature(name, match[1], shapes["tokens"][-1], shapes["mask"][-1])
    return found

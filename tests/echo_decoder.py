"""A decoder without a model: what it answers depends on every token before, in order, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.decoder import Float32, Tokens
from edgekit.session import DecoderSession

Rule = Callable[[Sequence[int]], int]


class EchoDecoder:
    """Its likeliest next token is `rule(tokens)`; the others have random logits that all tokens so far decide."""

    def __init__(self, rule: Rule | None = None, vocab_size: int = 50, context: int = 64) -> None:
        self.vocab_size = vocab_size
        self.context = context
        self.computed: list[int] = []
        """How many tokens each step computed."""
        self._rule = rule
        self._cache: list[int] = []

    def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
        assert start <= len(self._cache)
        assert start + len(tokens) <= reach <= self.context
        self._cache[start:] = tokens.tolist()
        self.computed.append(len(tokens))
        length = len(self._cache)
        rows = [self._logits(self._cache[:upto]) for upto in range(length - last + 1, length + 1)]
        return np.array(rows, np.float32).reshape(last, self.vocab_size)

    def read_cache(self, upto: int) -> Mapping[str, npt.NDArray[Any]]:
        return {"tokens": np.array(self._cache[:upto], np.float32)}

    def write_cache(self, state: Mapping[str, npt.NDArray[Any]], length: int) -> None:
        assert len(state["tokens"]) == length
        self._cache = state["tokens"].astype(int).tolist()

    def close(self) -> None:
        self._cache = []

    def _logits(self, tokens: list[int]) -> Float32:
        seed = 7
        for token in tokens:
            seed = (seed * 1_000_003 + token) % (1 << 61)
        logits = np.random.default_rng(seed).standard_normal(self.vocab_size).astype(np.float32)
        if self._rule is not None:
            logits[self._rule(tokens)] = 20.0
        return logits


def counting(tokens: Sequence[int]) -> int:
    """Count on: after 5 comes 6."""
    return tokens[-1] + 1


def session(rule: Rule | None = None, **sizes: int) -> DecoderSession:
    """A real session over the decoder."""
    return DecoderSession(EchoDecoder(rule, **sizes))

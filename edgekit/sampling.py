"""Choosing the next token from logits, as transformers' logits processors do and in their order."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError, UsageError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

_TOP_P_CANDIDATES = 4096


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is chosen. The defaults choose the likeliest.

    Raises:
        UsageError: a value out of its range, with the value.
    """

    temperature: float = 0.0
    """0 chooses the likeliest token and ignores top_k, top_p and min_p."""
    top_k: int = 0
    """Keep this many of the likeliest (and those equal to the last); 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest that together have this probability; 1 keeps all."""
    min_p: float = 0.0
    """Keep those with at least this share of the likeliest one's probability; 0 keeps all."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens that were there before (arXiv 1909.05858)."""
    seed: int | None = None
    """The same seed, prompt and bundle give the same text on the same machine; None draws a new one."""

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, 0.0, math.inf, "0 or more")
        _check("top_p", self.top_p, math.ulp(0.0), 1.0, "above 0 and at most 1")
        _check("min_p", self.min_p, 0.0, 1.0, "0 to 1")
        _check("repetition_penalty", self.repetition_penalty, math.ulp(0.0), math.inf, "above 0")
        _check_whole("top_k", self.top_k)
        if self.seed is not None:
            _check_whole("seed", self.seed)


class Sampler:
    """Chooses tokens. Which random number a token gets depends on the seed and its position only.

    So a text that is continued in another call with the same seed goes on as if it had not been interrupted.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._seed = secrets.randbits(64) if sampling.seed is None else sampling.seed
        self._position = -1
        self._random = np.random.Generator(np.random.PCG64(self._seed))

    def choose(self, logits: Float32, history: npt.ArrayLike) -> tuple[int, float]:
        """Choose the next token.

        Args:
            logits: float32 [vocab_size], left as they are; -inf excludes a token.
            history: The ids of all tokens so far, prompt included; an integer array is fastest.

        Returns:
            The token and the natural logarithm of its probability under the logits as the model gave them.

        Raises:
            EdgekitError: the logits are NaN or infinite.
        """
        past = np.asarray(history, dtype=np.int64)
        scores = self._penalized(logits, past)
        token = int(scores.argmax()) if self._sampling.temperature == 0 else self._draw(scores, len(past))
        return token, log_probability(logits, token)

    def _penalized(self, logits: Float32, past: Ids) -> Float32:
        penalty = np.float32(self._sampling.repetition_penalty)
        if penalty == 1 or not len(past):
            return logits
        scores = logits.copy()
        found = scores[past]
        # A token that occurs twice is written twice with the same value: it is penalized once.
        scores[past] = np.where(found < 0, found * penalty, found / penalty)
        return scores

    def _draw(self, scores: Float32, position: int) -> int:
        ids, probabilities = kept(scores, self._sampling)
        bounds = probabilities.cumsum()
        chosen = int(np.searchsorted(bounds, self._uniform(position) * bounds[-1], side="right"))
        return int(ids[min(chosen, len(ids) - 1)])

    def _uniform(self, position: int) -> float:
        if position != self._position + 1:
            self._random = np.random.Generator(np.random.PCG64(self._seed).advance(position))
        self._position = position
        return float(self._random.random())  # takes exactly one step of the generator


def kept(scores: Float32, sampling: Sampling) -> tuple[Ids, Float64]:
    """Return the tokens that may be drawn, in the order of their ids, and their probabilities (float64, sum 1)."""
    ids = np.arange(len(scores))
    if 0 < sampling.top_k < len(scores):
        place = len(scores) - sampling.top_k
        ids = np.flatnonzero(scores >= np.partition(scores, place)[place])
    # The largest is taken off first, in float64: a small temperature would overflow.
    values = scores[ids].astype(np.float64)
    weights = np.exp((values - values.max()) / sampling.temperature)
    if sampling.top_p < 1:
        order = _nucleus(weights, sampling.top_p)
        ids, weights = ids[order], weights[order]
    if sampling.min_p > 0:
        # The likeliest has weight 1, so its share is the weight itself.
        order = np.flatnonzero(weights >= sampling.min_p)
        ids, weights = ids[order], weights[order]
    return ids, weights / weights.sum()


def log_probability(logits: Float32, token: int) -> float:
    """Return the log softmax of float32 [vocab_size] logits at `token`.

    Raises:
        EdgekitError: the logits are NaN or infinite.
    """
    largest = logits.max()
    total = float(np.exp(logits - largest).sum(dtype=np.float64)) if np.isfinite(largest) else math.nan
    if math.isnan(total):
        raise EdgekitError(
            "the model's logits are not finite", "run `edgekit verify` on the bundle, or export it again"
        )
    return float(logits[token]) - float(largest) - math.log(total)


def _nucleus(weights: Float64, top_p: float) -> Ids:
    """Return the indices, rising, of the fewest largest weights that have the share `top_p` of all."""
    goal = top_p * weights.sum()
    # All weights below this border together have less than what may be left out: only the others need sorting.
    likely = np.flatnonzero(weights >= (weights.sum() - goal) / len(weights))
    if len(likely) > _TOP_P_CANDIDATES:
        most = likely[np.argpartition(weights[likely], -_TOP_P_CANDIDATES)[-_TOP_P_CANDIDATES:]]
        likely = np.sort(most) if weights[most].sum() >= goal else likely
    order = likely[np.argsort(-weights[likely], kind="stable")]
    before = weights[order].cumsum() - weights[order]
    return np.sort(order[before < goal])


def _check(name: str, value: object, low: float, high: float, expected: str) -> None:
    number = isinstance(value, (int, float, np.floating)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise UsageError(f"{name} is {value!r}; it must be {expected}")


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{name} is {value!r}; it must be a whole number, 0 or more")

"""Choosing the next token from logits, as transformers' logits processors do and in their order."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError, UsageError

Float32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_COLDEST = 1e-30
"""Below it float32 runs out, and the draw has long become the argmax."""
_ROWS = 16
_CANDIDATES = (256, 4096)
_BLOCK = 256


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
        self._scratch: Float32 | None = None  # new memory for each token costs more than the sum itself
        self._random = np.random.Generator(np.random.PCG64(self._seed))

    def choose(self, logits: Float32, history: npt.ArrayLike, scores: Float32 | None = None) -> tuple[int, float]:
        """Choose the next token.

        Args:
            logits: float32 [vocab_size], left as they are.
            history: The ids of all tokens so far, prompt included; an integer array is fastest.
            scores: What to choose by, where that is not the logits themselves; -inf excludes a token.

        Returns:
            The token and the natural logarithm of its probability under the logits as the model gave them.

        Raises:
            EdgekitError: the logits are NaN or infinite.
        """
        past = np.asarray(history, dtype=np.int64)
        scores = self._penalized(logits if scores is None else scores, past)
        token = int(scores.argmax()) if self._sampling.temperature == 0 else self._draw(scores, len(past))
        if self._scratch is None or len(self._scratch) != len(logits):
            self._scratch = np.empty(len(logits), np.float32)
        return token, log_probability(logits, token, self._scratch)

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
        ids, weights = kept(scores, self._sampling)
        place = _place(weights, self._uniform(position))
        return place if ids is None else int(ids[place])

    def _uniform(self, position: int) -> float:
        if position != self._position + 1:
            self._random = np.random.Generator(np.random.PCG64(self._seed).advance(position))
        self._position = position
        return float(self._random.random())  # takes exactly one step of the generator


def kept(scores: Float32, sampling: Sampling) -> tuple[Ids | None, Float32]:
    """Return the tokens that may be drawn, in the order of their ids, and weights in proportion to their probabilities.

    None stands for all tokens. The weights are float32, as transformers computes; the largest is 1.
    """
    ids = _largest(scores, sampling.top_k) if 0 < sampling.top_k < len(scores) else None
    values = (scores if ids is None else scores[ids]) - scores.max()
    with np.errstate(over="ignore"):  # a small temperature makes -inf of all but the largest, which is right
        weights = np.exp(values / np.float32(max(sampling.temperature, _COLDEST)))
    if sampling.top_p < 1:
        order = _nucleus(weights, sampling.top_p)
        ids, weights = order if ids is None else ids[order], weights[order]
    if sampling.min_p > 0:
        order = np.flatnonzero(weights >= np.float32(sampling.min_p))
        ids, weights = order if ids is None else ids[order], weights[order]
    return ids, weights


def log_probability(logits: Float32, token: int, scratch: Float32 | None = None) -> float:
    """Return the log softmax of float32 [vocab_size] logits at `token`; `scratch`, of their size, is overwritten.

    Raises:
        EdgekitError: the logits are NaN or infinite.
    """
    largest = logits.max()
    if not np.isfinite(largest):
        raise EdgekitError(
            "the model's logits are not finite", "run `edgekit verify` on the bundle, or export it again"
        )
    weights = np.subtract(logits, largest, out=scratch)
    np.exp(weights, out=weights)
    return float(logits[token]) - float(largest) - math.log(float(weights.sum()))


def _largest(values: Float32, count: int) -> Ids:
    """Return the indices, rising, of the `count` largest values and of all that equal the last of them."""
    likely = np.flatnonzero(values >= _bound(values, count))
    few = values[likely]
    return likely[few >= np.partition(few, len(few) - count)[len(few) - count]]


def _bound(values: Float32, count: int) -> np.float32:
    """Return a bound that at least `count` values reach and few more do, without sorting all of them.

    It is the `count` largest of the maxima of many columns: each column has at least one such value.
    """
    columns = len(values) // _ROWS
    if count > columns:
        return np.float32(-np.inf)
    maxima = values[: columns * _ROWS].reshape(_ROWS, columns).max(axis=0)
    return np.float32(np.partition(maxima, columns - count)[columns - count])


def _nucleus(weights: Float32, top_p: float) -> Ids:
    """Return the indices, rising, of the fewest largest weights that have the share `top_p` of all.

    Of equal weights at its edge those with the smaller index are in it.
    """
    total = float(weights.sum(dtype=np.float64))
    goal = top_p * total
    for candidates in _CANDIDATES:
        likely = np.flatnonzero(weights >= _bound(weights, candidates))
        if weights[likely].sum(dtype=np.float64) >= goal:
            break
    else:
        # All weights below this border together have less than what may be left out: only the others need sorting.
        likely = np.flatnonzero(weights >= np.float32(0.999 * (total - goal) / len(weights)))
    few = weights[likely]
    falling = np.sort(few)[::-1].astype(np.float64)
    count = max(1, int(np.searchsorted(falling.cumsum() - falling, goal)))
    edge = np.float32(falling[count - 1])
    above, equal = likely[few > edge], likely[few == edge]
    return np.sort(np.concatenate([above, equal[: count - len(above)]]))


def _place(weights: Float32, share: float) -> int:
    """Return the first index up to which the weights sum to more than `share` (0 <= share < 1) of them all.

    First among blocks, then within one: a running sum over a whole vocabulary takes 1.2 ms.
    """
    ends = np.add.reduceat(weights, np.arange(0, len(weights), _BLOCK), dtype=np.float64).cumsum()
    # Rounding must lead neither behind the last token that has any weight, nor behind the block's.
    goal = min(share * ends[-1], np.nextafter(ends[-1], 0.0))
    block = int(np.searchsorted(ends, goal, side="right"))
    within = weights[block * _BLOCK : (block + 1) * _BLOCK].cumsum(dtype=np.float64)
    rest = min(goal - (ends[block - 1] if block else 0.0), np.nextafter(within[-1], 0.0))
    return block * _BLOCK + int(np.searchsorted(within, rest, side="right"))


def _check(name: str, value: object, low: float, high: float, expected: str) -> None:
    number = isinstance(value, (int, float, np.floating)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise UsageError(f"{name} is {value!r}; it must be {expected}")


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{name} is {value!r}; it must be a whole number, 0 or more")

"""The executable specification: every operation computed at once with numpy, in float32.

It is the truth for tests and for `verify`. It has no cache: a sequence is computed whole, which is how the references
in the tests were recorded, and what every cached computation must agree with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgekit.errors import UsageError
from edgekit.spec import Activation, Attention, DecoderSpec, EncoderSpec, Norm
from edgekit_exporters.architecture import read_model
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.decoder import decode
from edgekit_exporters.encoder import encode
from edgekit_exporters.operations import Projection
from edgekit_exporters.weights import BLOCK_BYTES, Float32, Weights

Ids = npt.NDArray[np.int64]
Observer = Callable[[str, Float32], None]

KEEP_BYTES = 2 << 30
"""Models whose float32 weights are smaller are kept after their first use, others read each time."""


class Reference:
    """A model computed with numpy: `Reference.open(path).logits(ids)`, or `.encode(ids, mask)` of an encoder."""

    def __init__(
        self,
        spec: DecoderSpec | EncoderSpec,
        weights: Weights,
        checkpoint: Checkpoint | None = None,
        *,
        keep: bool = True,
    ) -> None:
        self.spec = spec
        self._weights = weights
        self._checkpoint = checkpoint
        total = sum(4 * math.prod(rows.shape) for rows in weights.values())
        self._kept: dict[str, Float32] | None = {} if keep and total <= KEEP_BYTES else None

    @classmethod
    def open(cls, path: str | Path) -> Reference:
        """Open any source that `edgekit export` takes.

        Raises:
            EdgekitError: it cannot be read or is not supported.
        """
        checkpoint = open_checkpoint(str(path))
        try:
            model = read_model(checkpoint)
        except BaseException:
            checkpoint.close()
            raise
        return cls(model.spec, model.weights, checkpoint)

    def logits(
        self, ids: Sequence[int] | Ids, rows: Sequence[int] | None = None, observe: Observer | None = None
    ) -> Float32:
        """Return float32 [n, vocab]: the logits after each of the n tokens, or after those at `rows` only.

        `observe` is told the name of every linear weight and what it is multiplied with, [n, in], and of every layer
        what a cache would hold: "LAYER.key" and "LAYER.value", [n, kv_heads * head_dim].

        Raises:
            UsageError: no tokens, or one outside of the vocabulary; or the model is an encoder.
        """
        if not isinstance(self.spec, DecoderSpec):
            raise UsageError(f"{self.spec.architecture} is an encoder, which predicts no tokens", "use encode")
        tokens = self._checked(ids).reshape(-1)
        run = _NumpyDecoder(self, tokens, None if rows is None else np.asarray(rows, dtype=np.int64), observe)
        decode(run, self.spec, self._weights)
        return run.results["logits"]

    def encode(self, ids: Ids, mask: Ids, observe: Observer | None = None) -> Float32:
        """Return what an `EncoderSession` returns of ids and mask [batch, n]; texts are padded at their ends.

        Without a head hidden states [batch, n, hidden], otherwise logits [batch, labels] or, of tokens,
        [batch, n, labels]. `observe` is told the name of every linear weight and its inputs, [rows, in].

        Raises:
            UsageError: no tokens, or one outside of the vocabulary; or the model is a decoder.
        """
        if not isinstance(self.spec, EncoderSpec):
            raise UsageError(f"{self.spec.architecture} is a decoder, which has no hidden states to give", "use logits")
        run = _NumpyEncoder(self, self._checked(ids), np.asarray(mask, np.bool_), observe)
        encode(run, self.spec, self._weights)
        return next(iter(run.results.values()))

    def _checked(self, ids: Sequence[int] | Ids) -> Ids:
        tokens = np.asarray(ids, dtype=np.int64)
        if not tokens.size or tokens.min() < 0 or tokens.max() >= self.spec.vocab_size:
            raise UsageError(f"{tokens.size} token ids, not all within 0..{self.spec.vocab_size - 1}")
        return tokens

    def weight(self, name: str) -> Float32:
        """Return a whole weight."""
        if self._kept is None:
            return self._weights[name].all()
        if name not in self._kept:
            self._kept[name] = self._weights[name].all()
        return self._kept[name]

    def rows(self, name: str, index: Ids) -> Float32:
        """Return some rows of a weight."""
        if self._kept is not None:
            return self.weight(name)[index]
        rows = np.stack([self._weights[name].read(int(i), int(i) + 1)[0] for i in index.reshape(-1)])
        return rows.reshape(*index.shape, -1)

    def blocks(self, name: str) -> Iterable[tuple[int, Float32]]:
        """Yield a weight in row blocks, each with the number of its first row."""
        if self._kept is not None:
            yield 0, self.weight(name)
            return
        for start, stop in self._weights[name].blocks(4 * BLOCK_BYTES):
            yield start, self._weights[name].read(start, stop)

    def close(self) -> None:
        """Close the checkpoint."""
        if self._checkpoint is not None:
            self._checkpoint.close()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Numpy:
    """`Operations` over arrays [..., n, width]."""

    def __init__(self, reference: Reference, tokens: Ids, observe: Observer | None) -> None:
        self.reference, self.tokens, self.observe = reference, tokens, observe
        self.results: dict[str, Float32] = {}

    def embed(self, table: str) -> Float32:
        return self.reference.rows(table, self.tokens)

    def positions(self, table: str) -> Float32:
        return self.reference.rows(table, np.arange(self.tokens.shape[-1]))

    def linear(self, x: Float32, *projections: Projection) -> tuple[Float32, ...]:
        return tuple(self._project(x, projection) for projection in projections)

    def _project(self, x: Float32, projection: Projection) -> Float32:
        if self.observe is not None:
            self.observe(projection.weight, x.reshape(-1, x.shape[-1]))
        parts = [x @ block.T for _, block in self.reference.blocks(projection.weight)]
        out = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        return out if projection.bias is None else out + self.reference.weight(projection.bias)

    def norm(self, x: Float32, norm: Norm, weight: str, bias: str | None = None) -> Float32:
        out = normalise(x, norm) * self.reference.weight(weight)
        return out if bias is None else out + self.reference.weight(bias)

    def add(self, a: Float32, b: Float32) -> Float32:
        return a + b

    def add_norm(
        self, a: Float32, b: Float32, norm: Norm, weight: str, bias: str | None = None
    ) -> tuple[Float32, Float32]:
        total = a + b
        return total, self.norm(total, norm, weight, bias)

    def multiply(self, a: Float32, b: Float32 | float) -> Float32:
        return a * np.float32(b) if isinstance(b, (int, float)) else a * b

    def activation(self, x: Float32, kind: Activation) -> Float32:
        return activate(x, kind)

    def softcap(self, x: Float32, cap: float) -> Float32:
        return np.float32(cap) * np.tanh(x / np.float32(cap))

    def output(self, name: str, x: Float32) -> None:
        self.results[name] = x


class _NumpyDecoder(_Numpy):
    """`DecoderOperations` over arrays [n, width]."""

    def __init__(self, reference: Reference, tokens: Ids, wanted: Ids | None, observe: Observer | None) -> None:
        super().__init__(reference, tokens, observe)
        self.wanted = wanted

    def attend(
        self,
        q: Float32,
        k: Float32,
        v: Float32,
        attention: Attention,
        layer: int,
        q_norm: str | None = None,
        k_norm: str | None = None,
    ) -> Float32:
        n, heads, head_dim = len(q), attention.heads, attention.head_dim
        q, k, v = (x.reshape(n, -1, head_dim).transpose(1, 0, 2) for x in (q, k, v))
        if attention.qk_norm is not None and q_norm is not None and k_norm is not None:
            # One set of weights for all heads, or one for each.
            shape = (-1, 1, head_dim)
            q = normalise(q, attention.qk_norm) * self.reference.weight(q_norm).reshape(shape)
            k = normalise(k, attention.qk_norm) * self.reference.weight(k_norm).reshape(shape)
        if attention.rope is not None:
            border = attention.rope.border
            cos, sin = attention.rope.tables(n, long=border is not None and n > border)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.observe is not None:
            self.observe(f"{layer}.key", k.transpose(1, 0, 2).reshape(n, -1))
            self.observe(f"{layer}.value", v.transpose(1, 0, 2).reshape(n, -1))
        k, v = (np.repeat(x, heads // attention.kv_heads, axis=0) for x in (k, v))
        scores = (q @ k.transpose(0, 2, 1)) * np.float32(attention.scale)
        if attention.softcap is not None:
            scores = self.softcap(scores, attention.softcap)
        scores = np.where(visible(n, attention), scores, np.float32(-np.inf))
        return (softmax(scores) @ v).transpose(1, 0, 2).reshape(n, heads * head_dim)

    def select(self, x: Float32) -> Float32:
        return x if self.wanted is None else x[self.wanted]


class _NumpyEncoder(_Numpy):
    """`EncoderOperations` over arrays [batch, n, width]."""

    def __init__(
        self, reference: Reference, tokens: Ids, mask: npt.NDArray[np.bool_], observe: Observer | None
    ) -> None:
        super().__init__(reference, tokens, observe)
        self.mask = mask

    def relative_bias(self, table: str) -> Float32:
        n = self.tokens.shape[1]
        distances = np.arange(n)[None, :] - np.arange(n)[:, None]
        rows = self.reference.weight(table)
        return rows[distances + len(rows) // 2].transpose(2, 0, 1)

    def attend_all(
        self, q: Float32, k: Float32, v: Float32, attention: Attention, bias: Float32 | None = None
    ) -> Float32:
        batch, n, _ = q.shape
        q, k, v = (x.reshape(batch, n, -1, attention.head_dim).transpose(0, 2, 1, 3) for x in (q, k, v))
        if attention.rope is not None:
            cos, sin = attention.rope.tables(n)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (np.repeat(x, attention.heads // attention.kv_heads, axis=1) for x in (k, v))
        scores = (q @ k.swapaxes(2, 3)) * np.float32(attention.scale)
        if bias is not None:
            scores = scores + bias
        # A window may hide every token from a padded position: it sees itself, so that nothing is divided by 0.
        seen = (visible(n, attention) & self.mask[:, None, None, :]) | np.eye(n, dtype=np.bool_)
        scores = np.where(seen, scores, np.float32(-np.inf))
        return (softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, n, -1)

    def pool(self, x: Float32, kind: Literal["first", "mean"]) -> Float32:
        if kind == "first":
            return x[:, 0]
        weights = self.mask.astype(np.float32)[:, :, None]
        return (x * weights).sum(axis=1) / weights.sum(axis=1)


def normalise(x: Float32, norm: Norm) -> Float32:
    """Return x over its root mean square, or centred and over its standard deviation."""
    if norm.kind == "layer":
        x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + np.float32(norm.eps))


def activate(x: Float32, kind: Activation) -> Float32:
    """Return the activation of x."""
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "tanh":
        return np.tanh(x)
    if kind == "silu":
        return x / (1 + np.exp(np.minimum(-x, 80)))
    if kind == "gelu":
        erf = np.vectorize(math.erf, otypes=[np.float32])
        return 0.5 * x * (1 + erf(x / np.float32(math.sqrt(2))))
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
    return 0.5 * x * (1 + np.tanh(inner))


def rotate(x: Float32, cos: Float32, sin: Float32) -> Float32:
    """Rotate the pairs (i, i + head_dim / 2) of x [..., n, head_dim]; cos and sin are [n, head_dim / 2]."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def visible(n: int, attention: Attention) -> npt.NDArray[np.bool_]:
    """Return [n, n]: whether position i (row) sees position j."""
    distance = np.arange(n)[:, None] - np.arange(n)[None, :]
    seen = distance >= 0 if attention.causal else np.ones((n, n), np.bool_)
    return seen if attention.window is None else seen & (np.abs(distance) < attention.window)


def softmax(x: Float32) -> Float32:
    """Return the softmax over the last axis."""
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    out: Float32 = shifted / shifted.sum(axis=-1, keepdims=True)
    return out

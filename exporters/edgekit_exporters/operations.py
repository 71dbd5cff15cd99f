"""The operations that every model is made of, and that every format implements.

A forward pass (`decoder.py`, `encoder.py`) is written once against them. A format records nodes; `reference.py`
computes at once. `V` is the format's own handle of a value of shape [n, width], n tokens of one sequence, or in an
encoder [batch, n, width], a batch of texts padded at their ends.
Weights are named; whoever implements the operations was given the `Weights` and knows the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Protocol, TypeVar

from edgekit.spec import Activation, Attention, Norm

V = TypeVar("V")


@dataclass(frozen=True)
class Projection:
    """A linear layer: a weight [out, in] and perhaps a bias [out], by their names."""

    weight: str
    bias: str | None = None


def runs(projections: Iterable[Projection], kind: Callable[[str], object]) -> list[tuple[Projection, ...]]:
    """Cut projections into runs whose weights are of one kind: a product is over weights of one encoding."""
    return [tuple(run) for _, run in groupby(projections, lambda projection: kind(projection.weight))]


class Operations(Protocol[V]):
    """What any forward pass may ask for."""

    def embed(self, table: str) -> V:
        """Return the rows of `table` [vocab, width] for the input tokens."""

    def positions(self, table: str) -> V:
        """Return the rows of `table` [positions, width] for the input positions (learned positions)."""

    def linear(self, x: V, *projections: Projection) -> tuple[V, ...]:
        """Return x · weightᵀ + bias for each projection; several at once may be fused into one product."""

    def norm(self, x: V, norm: Norm, weight: str, bias: str | None = None) -> V:
        """Return x normalised over its last axis, times weight, plus bias."""

    def add(self, a: V, b: V) -> V:
        """Return a + b."""

    def add_norm(self, a: V, b: V, norm: Norm, weight: str, bias: str | None = None) -> tuple[V, V]:
        """Return a + b and its norm: one fused node where a format has it."""

    def multiply(self, a: V, b: V | float) -> V:
        """Return a * b, element by element or by a constant."""

    def activation(self, x: V, kind: Activation) -> V:
        """Return the activation of x; `gelu` is exact (erf), `gelu_tanh` the tanh form."""

    def softcap(self, x: V, cap: float) -> V:
        """Return cap * tanh(x / cap)."""

    def output(self, name: str, x: V) -> None:
        """Name a result of the model."""


class DecoderOperations(Operations[V], Protocol[V]):
    """What a decoder asks for besides: attention over a cache."""

    def attend(
        self, q: V, k: V, v: V, attention: Attention, layer: int, q_norm: str | None = None, k_norm: str | None = None
    ) -> V:
        """Return attention over the cache of `layer` extended by k and v: [n, heads * head_dim].

        q is [n, heads * head_dim], k and v are [n, kv_heads * head_dim]. Norms (by the names of their weights,
        [head_dim], or [heads * head_dim] where `qk_norm_by_head`) and rope are applied here, so that a format can use
        an engine's fused form.
        """

    def select(self, x: V) -> V:
        """Return only the rows whose results are asked for; what follows costs per row."""


class EncoderOperations(Operations[V], Protocol[V]):
    """What an encoder asks for besides: attention over whole texts, and one row for each text."""

    def relative_bias(self, table: str) -> V:
        """Return what the scores of all layers get added: [heads, n, n].

        `table` is [2 * context - 1, heads]: row d + context - 1 is for a seen token d positions behind the one that
        sees it (before it where d is negative).
        """

    def attend_all(self, q: V, k: V, v: V, attention: Attention, bias: V | None = None) -> V:
        """Return attention over all tokens of a text: [batch, n, heads * head_dim]; nothing sees padding.

        q, k and v are [batch, n, heads * head_dim]. Rope is applied here. A window is one to both sides. `bias` comes
        from `relative_bias`.
        """

    def pool(self, x: V, kind: Literal["first", "mean"]) -> V:
        """Return the first token's row, or the mean of a text's rows without padding: [batch, width]."""

"""The operations that every model is made of, and that every format implements.

A forward pass (`decoder.py`) is written once against them. A format records nodes; `reference.py` computes at once.
`V` is the format's own handle of a value of shape [n, width]: n tokens of one sequence.
Weights are named; whoever implements the operations was given the `Weights` and knows the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from edgekit.spec import Activation, Attention, Norm

V = TypeVar("V")


@dataclass(frozen=True)
class Projection:
    """A linear layer: a weight [out, in] and perhaps a bias [out], by their names."""

    weight: str
    bias: str | None = None


class Operations(Protocol[V]):
    """What a forward pass may ask for."""

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

    def output(self, name: str, x: V) -> None:
        """Name a result of the model."""

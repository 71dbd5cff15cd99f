"""The neutral description of a model: what an architecture yields, every format writes and the manifest records.

Nothing here names a checkpoint's keys, an engine or a file. Lengths count tokens, sizes count elements.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

Activation = Literal["silu", "gelu", "gelu_tanh", "relu", "tanh"]
NormKind = Literal["rms", "layer"]
Residual = Literal["pre", "post", "sandwich", "parallel"]
Pooling = Literal["mean", "first", "last", "max", "mean_sqrt", "weighted_mean"]
"""How the hidden states of a text's tokens become one vector; `mean_sqrt` divides the sum by the root of the count,
`weighted_mean` weighs token i with i + 1."""


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A normalisation over the last axis: root mean square (no mean, no bias) or layer norm."""

    kind: NormKind = "rms"
    eps: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class Rope:
    """Rotary position embedding over the pairs (i, i + head_dim / 2) of every head.

    A pair that is not rotated has frequency 0, so cos 1 and sin 0; an architecture whose pairs lie elsewhere permutes
    the rows of q and k when they are read. LongRoPE (Ding et al., 2024, arXiv 2402.13753) has a second set:
    once the total length passes `border`, it serves all positions.
    """

    frequencies: tuple[float, ...]
    """Radians per position of each of the head_dim / 2 pairs."""
    scale: float = 1.0
    """Multiplies cos and sin of the rotated pairs."""
    long_frequencies: tuple[float, ...] | None = None
    border: int | None = None
    """The largest total length that still uses `frequencies`; None where there is one set."""

    def tables(self, length: int, *, long: bool = False) -> tuple[Float32, Float32]:
        """Return cos and sin, each float32 [length, head_dim / 2], of the short or the long set."""
        chosen = self.long_frequencies if long and self.long_frequencies is not None else self.frequencies
        frequencies = np.asarray(chosen, dtype=np.float32)
        # Products in f64: at position 100,000 an f32 product is off by 0.004 radians.
        angles = np.arange(length, dtype=np.float64)[:, None] * frequencies.astype(np.float64)[None, :]
        scale = np.where(frequencies == 0.0, 1.0, self.scale)
        return (np.cos(angles) * scale).astype(np.float32), (np.sin(angles) * scale).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Attention:
    """One layer's attention, canonical: every architecture is brought into this form when it is read."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    """Multiplies the scores q · k, usually head_dim ** -0.5."""
    causal: bool = True
    window: int | None = None
    """A position sees this many positions, itself among them; None sees all."""
    softcap: float | None = None
    """Scores become softcap * tanh(score / softcap)."""
    qk_norm: Norm | None = None
    """A norm over head_dim of each q and k head, before the rope; its weights are the layer's q_norm and k_norm."""
    qk_norm_by_head: bool = False
    """Each head has norm weights of its own ([heads * head_dim]); otherwise all share one set ([head_dim])."""
    rope: Rope | None = None

    @property
    def query_size(self) -> int:
        """Elements of q per token."""
        return self.heads * self.head_dim

    @property
    def kv_size(self) -> int:
        """Elements of k (and of v) per token."""
        return self.kv_heads * self.head_dim


@dataclass(frozen=True, kw_only=True)
class DecoderSpec:
    """A causal language model. Its weights go by the names of `edgekit_exporters.decoder`."""

    architecture: str
    vocab_size: int
    hidden_size: int
    mlp_size: int
    context: int
    """The longest sequence the model was made for."""
    layers: tuple[Attention, ...]
    norm: Norm
    activation: Activation = "silu"
    gated: bool = True
    """The MLP multiplies its activated gate with a second projection."""
    residual: Residual = "pre"
    """Where the norms stand: before each half of a layer, after it, both, or once for two parallel halves."""
    projection_norm: bool = False
    """`norm` is applied to the whole of q and of k (OLMo 2), before they are cut into heads."""
    learned_positions: bool = False
    tied: bool = False
    """The head is the embedding table."""
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    logit_softcap: float | None = None

    @property
    def border(self) -> int | None:
        """The LongRoPE border of the layers, None where there is none."""
        borders = {layer.rope.border for layer in self.layers if layer.rope is not None} - {None}
        return min(borders, default=None)  # type: ignore[type-var]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; equal layers are written once (`layers` holds indices into `attention`)."""
        return _to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DecoderSpec:
        """Rebuild a spec from `to_json`.

        Raises:
            TypeError, KeyError, ValueError, IndexError: not of that form (the bundle reader names the file).
        """
        return cls(**_shared_from_json(data))


@dataclass(frozen=True, kw_only=True)
class Head:
    """What turns an encoder's hidden states into labels: perhaps a dense layer and a norm, then the classifier."""

    labels: int
    pool: Literal["first", "mean", "other"] | None = "first"
    """Which hidden state stands for the text; None: each token is labelled by its own. A `GraphSpec` has "other" where
    the graph itself makes one result of a text."""
    activation: Activation | None = None
    """That of the dense layer; None: there is no dense layer."""
    norm: Norm | None = None
    """A norm behind the dense layer."""
    probabilities: Literal["softmax", "sigmoid"] = "softmax"
    """Whether labels exclude each other (softmax) or each stands for itself (sigmoid)."""


@dataclass(frozen=True, kw_only=True)
class EncoderSignature:
    """What a runtime must know of a model that reads a text at once: what goes in, what comes out."""

    architecture: str
    vocab_size: int
    hidden_size: int
    """Without a head: the width of the hidden states."""
    context: int
    """The longest text in tokens."""
    head: Head | None = None
    pooling: Pooling = "mean"
    """Without a head: how a text's vector is made."""
    normalised: bool = False
    """Without a head: the vector is brought to length 1."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class GraphSpec(EncoderSignature):
    """An encoder whose graph another exporter made: of its layers nothing is known here."""

    parameters: int


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(EncoderSignature):
    """An encoder described in full. Its weights go by the names of `edgekit_exporters.encoder`.

    Token types and offsets of positions are not here: the row of the one type that is used, and the rows that
    positions begin with, are put right when the weights are read.
    """

    mlp_size: int
    layers: tuple[Attention, ...]
    """None of them causal, none with a LongRoPE border."""
    norm: Norm
    activation: Activation = "gelu"
    gated: bool = False
    """The MLP multiplies its activated gate with a second projection."""
    pre_norm: bool = False
    """Norms stand before each half of a layer and behind the last (ModernBERT); otherwise behind each sum (BERT)."""
    learned_positions: bool = True
    relative_bias: bool = False
    """Scores get a bias by head and distance (MPNet): `relative_bias.weight`, for the distances -(context - 1) to
    context - 1 of the seen token from the one that sees it."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; equal layers are written once (`layers` holds indices into `attention`)."""
        return _to_json(self) | {"head": None if self.head is None else dataclasses.asdict(self.head)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EncoderSpec:
        """Rebuild a spec from `to_json`.

        Raises:
            TypeError, KeyError, ValueError, IndexError: not of that form (the bundle reader names the file).
        """
        fields = _shared_from_json(data)
        if fields.get("head") is not None:
            head = dict(fields["head"])
            if head.get("norm") is not None:
                head["norm"] = Norm(**head["norm"])
            fields["head"] = Head(**head)
        return cls(**fields)


def _to_json(spec: DecoderSpec | EncoderSpec) -> dict[str, Any]:
    kinds = list(dict.fromkeys(spec.layers))
    fields = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec) if f.name not in ("layers", "norm")}
    return {
        **fields,
        "norm": dataclasses.asdict(spec.norm),
        "attention": [dataclasses.asdict(kind) for kind in kinds],
        "layers": [kinds.index(layer) for layer in spec.layers],
    }


def _shared_from_json(data: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [_attention(kind) for kind in data["attention"]]
    if any(index < 0 for index in data["layers"]):
        raise IndexError("a layer refers to an attention that is not there")
    fields = {key: value for key, value in data.items() if key != "attention"}
    return {**fields, "layers": tuple(kinds[index] for index in data["layers"]), "norm": Norm(**data["norm"])}


def _attention(data: Mapping[str, Any]) -> Attention:
    values = dict(data)
    if values.get("qk_norm") is not None:
        values["qk_norm"] = Norm(**values["qk_norm"])
    if values.get("rope") is not None:
        rope = dict(values["rope"])
        rope["frequencies"] = tuple(rope["frequencies"])
        if rope.get("long_frequencies") is not None:
            rope["long_frequencies"] = tuple(rope["long_frequencies"])
        values["rope"] = Rope(**rope)
    return Attention(**values)

"""Random models of every shape that the spec allows, for hypothesis, and a way to write one without a checkpoint."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from edgekit.bundle import Bundle
from edgekit.bundle_writer import BundleWriter
from edgekit.manifest import FormatEntry, Manifest, Source
from edgekit.progress import Silent
from edgekit.spec import Attention, DecoderSpec, Norm, Rope
from edgekit_exporters.architecture import Model
from edgekit_exporters.decoder import weight_shapes
from edgekit_exporters.format import WriteOptions, find_format
from edgekit_exporters.quantization import Quantization
from edgekit_exporters.stream import fill
from edgekit_exporters.weights import Array, Rows

CONTEXTS = (1, 2, 3, 15, 17, 40, 40, 40, 129, 300)
"""Below, at and beyond what engines compute at once or attend at once."""
HEAD_SIZES = (2, 6, 8, 10, 16, 20, 24, 32, 64, 80, 96, 128)
ODD_HEAD_SIZES = (1, 3, 7, 17, 33, 65)
"""For attention without a rope, which turns pairs."""
PROJECTIONS = ("attention.q", "attention.k", "attention.v", "attention.o", "mlp.gate", "mlp.up", "mlp.down")


@st.composite
def ropes(draw: st.DrawFn, head_dim: int, border: int | None) -> Rope:
    """Return a rope of a part or all of the pairs; where there is a border, with a second set of frequencies."""
    pairs = head_dim // 2
    turned, base = draw(st.integers(1, pairs)), draw(st.sampled_from([10000.0, 50.0]))
    frequencies = tuple(base ** -(k / turned) if k < turned else 0.0 for k in range(pairs))
    return Rope(
        frequencies=frequencies,
        long_frequencies=None if border is None else tuple(value / 3 for value in frequencies),
        border=border,
        scale=draw(st.sampled_from([1.0, 1.2])),
    )


@st.composite
def attentions(draw: st.DrawFn, narrowest: int, border: int | None) -> Attention:
    """Return an attention that a layer may have."""
    rotated = draw(st.booleans())
    sizes = HEAD_SIZES if rotated else HEAD_SIZES + ODD_HEAD_SIZES
    kv_heads, head_dim = draw(st.integers(1, 4)), draw(st.sampled_from([s for s in sizes if s >= min(narrowest, 16)]))
    qk_norm = draw(st.none() | st.sampled_from([Norm(eps=1e-6), Norm(kind="layer")])) if head_dim > 1 else None
    return Attention(
        heads=kv_heads * draw(st.integers(1, 4)),
        kv_heads=kv_heads,
        head_dim=head_dim,
        scale=draw(st.sampled_from([head_dim**-0.5, 0.2])),
        window=draw(st.none() | st.integers(1, 12) | st.sampled_from([1, 2, 3, 100])),
        softcap=draw(st.none() | st.sampled_from([2.0, 30.0])),
        qk_norm=qk_norm,
        qk_norm_by_head=qk_norm is not None and draw(st.booleans()),
        rope=draw(ropes(head_dim, border)) if rotated else None,
    )


@st.composite
def layers(draw: st.DrawFn, narrowest: int, context: int) -> tuple[Attention, ...]:
    """Return the layers: two kinds, one of them perhaps of other sizes, and a plain one, in any order.

    All layers share LongRoPE's border, as in any model, and norm their heads or do not.
    """
    border = draw(st.none() | st.integers(1, context))
    kind = draw(attentions(narrowest, border))
    other = draw(attentions(narrowest, border) | st.just(replace(kind, window=draw(st.none() | st.integers(1, 5)))))
    plain = replace(other, window=None, softcap=None, qk_norm=None, qk_norm_by_head=False, rope=None)
    return tuple(draw(st.lists(st.sampled_from([kind, kind, other, plain]), min_size=1, max_size=3)))


@st.composite
def specs(draw: st.DrawFn, narrowest: int) -> DecoderSpec:
    """Return a spec; sizes are mostly no multiple of anything."""
    context = draw(st.sampled_from(CONTEXTS))
    chosen = draw(layers(narrowest, context))
    return DecoderSpec(
        architecture="random",
        vocab_size=draw(st.integers(narrowest // 2, 133)),
        hidden_size=draw(st.integers(narrowest, 100)),
        mlp_size=draw(st.integers(narrowest // 2, 100)),
        context=context,
        layers=chosen,
        norm=draw(st.sampled_from([Norm(eps=1e-6), Norm(kind="layer")])),
        activation=draw(st.sampled_from(["silu", "gelu", "gelu_tanh", "relu", "tanh"])),
        gated=draw(st.booleans()),
        residual=draw(st.sampled_from(["pre", "post", "sandwich", "parallel"])),
        # A model norms heads or the whole projection: both would share a name.
        projection_norm=all(layer.qk_norm is None for layer in chosen) and draw(st.booleans()),
        learned_positions=draw(st.booleans()),
        tied=draw(st.booleans()),
        embedding_scale=draw(st.sampled_from([1.0, 3.0])),
        residual_scale=draw(st.sampled_from([1.0, 0.3])),
        logit_scale=draw(st.sampled_from([1.0, 0.5])),
        logit_softcap=draw(st.none() | st.just(5.0)),
    )


def models(narrowest: int = 2) -> st.SearchStrategy[Model]:
    """Return a model of any shape; nothing that is normed is narrower."""
    return specs(narrowest).flatmap(weighted)


@st.composite
def weighted(draw: st.DrawFn, spec: DecoderSpec) -> Model:
    """Return a model of this spec with random weights, and biases on some of its parts."""
    biased = draw(st.sets(st.sampled_from(PROJECTIONS)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weights: dict[str, Rows] = {}
    for name, shape in weight_shapes(spec).items():
        part = name.removesuffix(".weight")
        is_norm = part.endswith("norm")
        weights[name] = _noise(rng, shape, 0.3, 1.0) if is_norm else _noise(rng, shape, 1 / math.sqrt(shape[-1]))
        layer_norm = is_norm and spec.norm.kind == "layer" and not part.endswith(("q_norm", "k_norm"))
        if layer_norm or any(part.endswith(f".{each}") for each in biased):
            weights[f"{part}.bias"] = _noise(rng, shape[:1], 0.3)
    return Model(spec, weights)


def write_model(
    model: Model, folder: Path, format_name: str, quantization: Quantization, finer: frozenset[str] = frozenset()
) -> Bundle:
    """Write a model as a bundle with one format; the weights of the parts `finer` stay at 8 bits."""
    sensitive = frozenset(f"{part}.weight" for part in finer)
    options = WriteOptions(quantization=quantization, context=model.spec.context, sensitive=sensitive)
    with BundleWriter(folder, force=False) as writer:
        writing = find_format(format_name).begin(model, writer.folder, options)
        fill(model.weights, writing.slots, Silent())
        written = writing.finish()
        entry = FormatEntry(files=written.files, context_max=written.context_max, details=written.details)
        writer.write(
            Manifest(
                name="random",
                task="generate",
                architecture=model.spec.architecture,
                spec=model.spec,
                source=Source(id="random"),
                formats={format_name: entry},
            )
        )
    return Bundle.open(folder)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], scale: float, mean: float = 0.0) -> Array:
    return Array(rng.normal(mean, scale, shape).astype(np.float32))

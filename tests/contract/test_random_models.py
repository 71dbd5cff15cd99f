"""Models of shapes that nobody published, through every format and its runtime, against the reference."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import models, weighted, write_model

from edgekit.decoder import LoadOptions
from edgekit.registry import runtime, runtime_names
from edgekit.session import open_session
from edgekit.spec import Attention, DecoderSpec, Norm
from edgekit_exporters.architecture import Model
from edgekit_exporters.format import find_format
from edgekit_exporters.quantization import Quantization
from edgekit_exporters.reference import Reference

RUNTIMES = [
    pytest.param(name, marks=[] if name == "onnx" else [pytest.mark.slow])
    for name in runtime_names()
    if runtime(name).available().ok
]

# The same models every time: what has passed does not fail elsewhere by chance.
quick = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
long = settings(quick, max_examples=100)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def drawn_ids(model: Model, data: st.DataObject) -> np.ndarray:
    """Return an input of any length that the context holds."""
    count, seed = data.draw(st.integers(1, model.spec.context)), data.draw(st.integers(0, 1000))
    return np.random.default_rng(seed).integers(0, model.spec.vocab_size, count)


def check_float(name: str, model: Model, data: st.DataObject) -> None:
    ids = drawn_ids(model, data)
    cut, context = data.draw(st.integers(1, len(ids))), data.draw(st.integers(len(ids), model.spec.context))
    truth = Reference(model.spec, model.weights).logits(ids)
    tolerance = 1e-3 * np.abs(truth).max()
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_model(model, Path(folder, "b.edge"), runtime(name).format, "none")
        read = find_format(runtime(name).format).read_weights(bundle.path)
        assert set(read) == set(model.weights)
        for weight, rows in model.weights.items():
            np.testing.assert_array_equal(read[weight].all(), rows.all())
        with open_session(bundle, name, LoadOptions(context=context, threads=1)) as session:
            assert np.abs(session.forward(ids, last=len(ids)) - truth).max() <= tolerance
            session.rewind(0)
            if cut < len(ids):
                session.forward(ids[:cut])
                rest = session.forward(ids[cut:], last=len(ids) - cut)
                assert np.abs(rest[-1] - truth[-1]).max() <= tolerance


def check_quantized(
    name: str, model: Model, data: st.DataObject, quantization: Quantization, finer: frozenset[str]
) -> None:
    ids = drawn_ids(model, data)
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_model(model, Path(folder, "b.edge"), runtime(name).format, quantization, finer)
        weights = find_format(runtime(name).format).read_weights(bundle.path)
        for weight, rows in model.weights.items():
            original, error = rows.all(), weights[weight].all() - rows.all()
            assert np.abs(error).max() <= (0.2 if quantization == "int4" else 0.02) * np.abs(original).max()
        truth = Reference(model.spec, weights).logits(ids)
        with open_session(bundle, name, LoadOptions(context=model.spec.context, threads=1)) as session:
            logits = session.forward(ids, last=len(ids))
        # Random models round more coarsely than any real one; a wrong layout is off by its whole size.
        assert np.sqrt(np.square(logits - truth).mean()) <= 0.2 * np.sqrt(np.square(truth).mean())


# The norm of a handful of values is nearly their sign: rounding would turn it over.
WIDE = models(narrowest=24)
# Weights that stay at 8 bits, alone within a fused product or beside others.
FINER = st.frozensets(
    st.sampled_from(["layers.0.attention.q", "layers.0.attention.k", "layers.0.attention.v", "layers.0.mlp.up"])
)


@pytest.mark.parametrize("name", RUNTIMES)
@settings(quick, max_examples=1)
@given(data=st.data())
def test_layers_of_other_sizes(name: str, data: st.DataObject) -> None:
    """No published family has them; engines take what they learn of the first layer for all."""
    first = Attention(heads=4, kv_heads=2, head_dim=8, scale=0.4)
    layers = (first, replace(first, heads=8), replace(first, heads=6, kv_heads=3), replace(first, head_dim=16))
    spec = DecoderSpec(
        architecture="random", vocab_size=50, hidden_size=24, mlp_size=32, context=20, layers=layers, norm=Norm()
    )
    check_float(name, data.draw(weighted(spec)), data)


@pytest.mark.parametrize("name", RUNTIMES)
@quick
@given(model=models(), data=st.data())
def test_float(name: str, model: Model, data: st.DataObject) -> None:
    check_float(name, model, data)


@pytest.mark.parametrize("name", RUNTIMES)
@quick
@given(model=WIDE, data=st.data(), quantization=st.sampled_from(["int8", "int4"]), finer=FINER)
def test_quantized(
    name: str, model: Model, data: st.DataObject, quantization: Quantization, finer: frozenset[str]
) -> None:
    check_quantized(name, model, data, quantization, finer)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES)
@long
@given(model=models(), data=st.data())
def test_float_at_length(name: str, model: Model, data: st.DataObject) -> None:
    check_float(name, model, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES)
@long
@given(model=WIDE, data=st.data(), quantization=st.sampled_from(["int8", "int4"]), finer=FINER)
def test_quantized_at_length(
    name: str, model: Model, data: st.DataObject, quantization: Quantization, finer: frozenset[str]
) -> None:
    check_quantized(name, model, data, quantization, finer)

"""The operations against formulas written out; that whole models are right is in test_golden_decoders.py."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.errors import CheckpointError, UsageError
from edgekit.spec import Attention, Norm
from edgekit_exporters.reference import Reference, activate, normalise, rotate, softmax, visible

X = np.array([-4.0, -1.0, -0.1, 0.0, 0.5, 3.0, 12.0], np.float32)


def test_norms() -> None:
    x = np.array([[3.0, -4.0, 0.0, 5.0]], np.float32)
    rms = math.sqrt((9 + 16 + 25) / 4 + 1e-5)
    np.testing.assert_allclose(normalise(x, Norm(eps=1e-5)), x / rms, rtol=1e-6)
    centred = x - 1
    deviation = math.sqrt(float(np.square(centred).mean()) + 1e-5)
    np.testing.assert_allclose(normalise(x, Norm(kind="layer", eps=1e-5)), centred / deviation, rtol=1e-6)
    assert np.isfinite(normalise(np.zeros((1, 4), np.float32), Norm(eps=1e-6))).all()


def test_activations() -> None:
    np.testing.assert_allclose(activate(X, "relu"), [max(x, 0) for x in X.tolist()])
    np.testing.assert_allclose(activate(X, "silu"), [x / (1 + math.exp(-x)) for x in X.tolist()], rtol=1e-5)
    exact = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in X.tolist()]
    np.testing.assert_allclose(activate(X, "gelu"), exact, rtol=1e-4, atol=1e-6)
    inner = [math.sqrt(2 / math.pi) * (x + 0.044715 * x**3) for x in X.tolist()]
    tanh = [0.5 * x * (1 + math.tanh(y)) for x, y in zip(X.tolist(), inner, strict=True)]
    np.testing.assert_allclose(activate(X, "gelu_tanh"), tanh, rtol=1e-4, atol=1e-6)


def test_activations_of_extreme_values_are_finite() -> None:
    extreme = np.array([-1e4, -200.0, 200.0, 1e4], np.float32)
    for kind in ("relu", "silu", "gelu", "gelu_tanh"):
        assert np.isfinite(activate(extreme, kind)).all()


def test_softmax_of_large_and_hidden_scores() -> None:
    found = softmax(np.array([[1000.0, 1000.0, -np.inf]], np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0]])


def test_a_rotation_keeps_lengths_and_depends_on_distance_only() -> None:
    x = np.random.default_rng(0).normal(size=(1, 1, 8)).astype(np.float32)
    angles = np.arange(20, dtype=np.float64)[:, None] * np.array([1.0, 0.3, 0.05, 0.0])
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    turned = rotate(np.repeat(x, 20, axis=1), cos, sin)[0]
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(x), rtol=1e-5)
    np.testing.assert_allclose(turned[3] @ turned[7], turned[12] @ turned[16], rtol=1e-4)
    np.testing.assert_allclose(turned[0], x[0, 0])


@settings(deadline=None)
@given(n=st.integers(1, 12), window=st.none() | st.integers(1, 14), causal=st.booleans())
def test_who_sees_whom(n: int, window: int | None, causal: bool) -> None:
    attention = Attention(heads=1, kv_heads=1, head_dim=2, scale=1.0, window=window, causal=causal)
    seen = visible(n, attention)
    for i in range(n):
        for j in range(n):
            near = window is None or abs(i - j) < window
            assert seen[i, j] == (near and (j <= i or not causal))
    assert seen.any(axis=1).all()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_tiny_checkpoint(tmp_path / "tiny")


def test_weights_kept_and_read_each_time_give_the_same(checkpoint: Path) -> None:
    with Reference.open(checkpoint) as kept:
        streaming = Reference(kept.spec, kept._weights, keep=False)
        ids = [5, 17, 200, 3]
        np.testing.assert_allclose(streaming.logits(ids), kept.logits(ids), atol=1e-5)


def test_what_comes_later_changes_nothing_before(checkpoint: Path) -> None:
    with Reference.open(checkpoint) as reference:
        whole = reference.logits([5, 6, 7, 8])
        np.testing.assert_allclose(
            reference.logits([5, 6, 99]), [*whole[:2], reference.logits([5, 6, 99])[2]], atol=1e-5
        )
        np.testing.assert_allclose(reference.logits([5, 6, 7, 8], rows=[1, 3]), whole[[1, 3]], atol=1e-5)


@pytest.mark.parametrize("ids", [[], [-1], [259], [3, 10**6]])
def test_ids_outside_of_the_vocabulary(checkpoint: Path, ids: Any) -> None:
    with Reference.open(checkpoint) as reference, pytest.raises(UsageError, match=r"0\.\.258"):
        reference.logits(ids)


def test_a_checkpoint_that_cannot_be_read_is_closed(checkpoint: Path) -> None:
    config = (checkpoint / "config.json").read_text(encoding="utf-8")
    (checkpoint / "config.json").write_text(config.replace('"hidden_size": 32', '"hidden_size": 64'), encoding="utf-8")
    with pytest.raises(CheckpointError):
        Reference.open(checkpoint)  # a file left open would be a warning, and warnings are errors

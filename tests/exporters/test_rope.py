from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.config import Config
from edgekit_exporters.reference import rotate
from edgekit_exporters.rope import make_rope, read_rope, rope_parameters, rotary_order, rotary_size

LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip
LONGROPE = {
    "type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0, 4.0, 8.0, 16.0],
    "original_max_position_embeddings": 4096,
}  # fmt: skip


def base(theta: float, size: int) -> np.ndarray:
    return theta ** (-np.arange(0, size, 2) / size)


def test_plain_frequencies() -> None:
    rope = read_rope(Config({"rope_theta": 500000.0}), 8, 100)
    assert rope.frequencies == pytest.approx(base(500000.0, 8))
    assert (rope.scale, rope.border, rope.long_frequencies) == (1.0, None, None)
    assert read_rope(Config({}), 8, 100).frequencies == pytest.approx(base(10000.0, 8))


def test_linear_scaling_divides() -> None:
    rope = read_rope(Config({"rope_scaling": {"type": "linear", "factor": 4.0}}), 8, 100)
    assert rope.frequencies == pytest.approx(base(10000.0, 8) / 4)


def test_llama3_keeps_short_waves_and_divides_long_ones() -> None:
    rope = read_rope(Config({"rope_theta": 500000.0, "rope_scaling": LLAMA3}), 128, 131072)
    plain = base(500000.0, 128)
    waves = 2 * math.pi / plain
    found = np.array(rope.frequencies)
    short, long = waves < 8192 / 4, waves > 8192
    assert found[short] == pytest.approx(plain[short])
    assert found[long] == pytest.approx(plain[long] / 8)
    between = ~(short | long)
    assert between.any()
    assert ((found < plain) & (found > plain / 8))[between].all()
    assert (np.diff(found) < 0).all()


def test_longrope_has_two_sets_and_a_border() -> None:
    rope = read_rope(Config({"rope_scaling": LONGROPE}), 8, 131072)
    assert rope.border == 4096
    assert rope.frequencies == pytest.approx(base(10000.0, 8))
    assert rope.long_frequencies == pytest.approx(base(10000.0, 8) / [2, 4, 8, 16])
    assert rope.scale == pytest.approx(math.sqrt(1 + math.log(32) / math.log(4096)))


def test_the_border_may_stand_beside_the_scaling() -> None:
    scaling = {key: value for key, value in LONGROPE.items() if key != "original_max_position_embeddings"}
    rope = read_rope(Config({"rope_scaling": scaling, "original_max_position_embeddings": 4096}), 8, 4096)
    assert (rope.border, rope.scale) == (4096, 1.0)


def test_transformers_5_has_one_object_for_all_of_it() -> None:
    new = read_rope(Config({"rope_parameters": {"rope_theta": 7.0, "rope_type": "linear", "factor": 2}}), 8, 100)
    old = read_rope(Config({"rope_theta": 7.0, "rope_scaling": {"type": "linear", "factor": 2}}), 8, 100)
    assert new == old


def test_layers_of_two_kinds_pick_theirs() -> None:
    both = Config({"rope_parameters": {"full": {"rope_theta": 5.0}, "local": {"rope_theta": 9.0}}})
    for kind, theta in (("full", 5.0), ("local", 9.0)):
        rope = read_rope(both, 4, 100, parameters=rope_parameters(both, kind))
        assert rope.frequencies == pytest.approx(base(theta, 4))


def test_yarn_stretches_slow_pairs_only() -> None:
    values = {"rope_theta": 10000.0, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}
    rope = make_rope(values, 64, 64, 8192)
    plain = base(10000.0, 64)
    assert rope.frequencies[0] == pytest.approx(plain[0])
    assert rope.frequencies[-1] == pytest.approx(plain[-1] / 4)
    assert rope.scale == pytest.approx(0.1 * math.log(4) + 1)


def test_a_part_of_each_head() -> None:
    config = Config({"partial_rotary_factor": 0.75})
    assert rotary_size(config, 32) == 24
    with pytest.raises(UnsupportedError, match="24 of a head's 32 elements"):
        read_rope(config, 32, 100)
    rope = read_rope(config, 32, 100, partial=True)
    assert rope.frequencies[:12] == pytest.approx(base(10000.0, 24))
    assert rope.frequencies[12:] == (0.0,) * 4
    cos, sin = rope.tables(9)
    assert (cos[:, 12:] == 1).all()
    assert (sin[:, 12:] == 0).all()


@pytest.mark.parametrize("factor", [0, -1, 1.5, "half", True, 0.01, 0.71])
def test_parts_that_cannot_be(factor: object) -> None:
    with pytest.raises(CheckpointError):
        rotary_size(Config({"partial_rotary_factor": factor or -1}), 10)


def as_published(x: np.ndarray, rotary: int, angles: np.ndarray, interleaved: bool) -> np.ndarray:
    """Rotate heads [n, heads, head_dim] as the models' own code does, on the checkpoint's order of elements."""
    turned, rest = x[..., :rotary], x[..., rotary:]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    if interleaved:
        first, second = turned[..., 0::2], turned[..., 1::2]
        out = np.stack([first * cos - second * sin, second * cos + first * sin], axis=-1).reshape(turned.shape)
    else:
        first, second = np.split(turned, 2, axis=-1)
        out = np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return np.concatenate([out, rest], axis=-1)


@settings(deadline=None)
@given(heads=st.integers(1, 3), pairs=st.integers(1, 8), rest=st.integers(0, 4), interleaved=st.booleans())
def test_reordered_rows_are_rotated_as_the_published_ones(heads: int, pairs: int, rest: int, interleaved: bool) -> None:
    rotary, head_dim, n = 2 * pairs, 2 * (pairs + rest), 5
    x = np.random.default_rng(pairs).normal(size=(n, heads * head_dim))
    order = rotary_order(heads, head_dim, rotary, interleaved=interleaved)
    assert sorted(order) == list(range(heads * head_dim))
    rope = make_rope({"rope_theta": 100.0}, head_dim, rotary, 100)
    cos, sin = rope.tables(n)
    ours = rotate(x[:, order].reshape(n, heads, head_dim).transpose(1, 0, 2), cos, sin).transpose(1, 0, 2)
    angles = np.arange(n)[:, None] * base(100.0, rotary)
    theirs = as_published(x.reshape(n, heads, head_dim), rotary, angles, interleaved).reshape(n, -1)[:, order]
    np.testing.assert_allclose(ours.reshape(n, -1), theirs, atol=1e-5)


def test_far_positions_keep_their_precision() -> None:
    rope = make_rope({"rope_theta": 10000.0}, 4, 4, 1 << 20)
    cos, _ = rope.tables(100_001)
    frequency = float(np.float32(rope.frequencies[1]))
    assert cos[100_000, 1] == pytest.approx(math.cos(100_000 * frequency), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"rope_theta": 0}, CheckpointError),
        ({"rope_theta": float("nan")}, CheckpointError),
        ({"rope_theta": "10000"}, CheckpointError),
        ({"rope_scaling": [1]}, CheckpointError),
        ({"rope_scaling": {"type": "spiral"}}, UnsupportedError),
        ({"rope_scaling": {"type": ["linear"]}}, UnsupportedError),
        ({"rope_scaling": {"type": "linear"}}, CheckpointError),
        ({"rope_scaling": {"type": "linear", "factor": -2}}, CheckpointError),
        ({"rope_scaling": {"type": "linear", "factor": 2, "wobble": 3}}, UnsupportedError),
        ({"rope_scaling": {"factor": 2}}, UnsupportedError),
        ({"rope_scaling": {**LLAMA3, "low_freq_factor": None}}, CheckpointError),
        ({"rope_scaling": {**LONGROPE, "long_factor": [1.0]}}, CheckpointError),
        ({"rope_scaling": {**LONGROPE, "short_factor": [1.0, 1.0, 0.0, 1.0]}}, CheckpointError),
        ({"rope_scaling": {**LONGROPE, "short_factor": "x"}}, CheckpointError),
        ({"rope_scaling": {**LONGROPE, "original_max_position_embeddings": 1}}, CheckpointError),
        ({"rope_scaling": {"type": "longrope"}}, CheckpointError),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        read_rope(Config({"model_type": "llama", **values}), 8, 100)


def test_a_factor_of_one_and_a_null_change_nothing() -> None:
    plain = read_rope(Config({}), 8, 100)
    assert read_rope(Config({"rope_scaling": {"factor": 1.0, "beta_fast": None}}), 8, 100) == plain
    assert read_rope(Config({"rope_scaling": None}), 8, 100) == plain

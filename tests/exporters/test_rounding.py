from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit_exporters.rounding import round_asymmetric, round_symmetric
from edgekit_exporters.weights import Float32

WIDTHS = (1, 2, 5, 32)


@st.composite
def blocks_of_weights(draw: st.DrawFn) -> Float32:
    """Return blocks as models have them: near normal, some with outliers, one-sided, constant or all zero."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count, width = draw(st.integers(1, 6)), draw(st.sampled_from(WIDTHS))
    blocks = rng.normal(0, draw(st.sampled_from([1e-6, 0.02, 1.0, 300.0])), (count, width))
    kind = draw(st.sampled_from(["plain", "outlier", "positive", "negative", "constant", "zero"]))
    if kind == "outlier":
        blocks[:, 0] *= 30
    elif kind in ("positive", "negative"):
        blocks = np.abs(blocks) * (1 if kind == "positive" else -1)
    elif kind == "constant":
        blocks[:] = blocks[0, 0]
    elif kind == "zero":
        blocks[0] = 0
    return blocks.astype(np.float32)


def square_error(blocks: Float32, restored: Float32, importance: Float32 | float = 1.0) -> Float32:
    error: Float32 = (np.square(restored.astype(np.float64) - blocks) * importance).sum(axis=1)
    return error


def plain_asymmetric(blocks: Float32, bits: int) -> Float32:
    """Round as every textbook has it: the whole range, no search."""
    top = 2**bits - 1
    low, high = np.minimum(blocks.min(1), 0)[:, None], np.maximum(blocks.max(1), 0)[:, None]
    scale = np.where(high > low, (high - low) / top, 1).astype(np.float32)
    zero = np.clip(np.rint(-low / scale), 0, top)
    restored: Float32 = ((np.clip(np.rint(blocks / scale) + zero, 0, top) - zero) * scale).astype(np.float32)
    return restored


def plain_symmetric(blocks: Float32, bits: int) -> Float32:
    top = 2 ** (bits - 1) - 1
    scale = np.abs(blocks).max(1, keepdims=True) / top
    scale[scale == 0] = 1
    restored: Float32 = (np.clip(np.rint(blocks / scale), -top, top) * scale).astype(np.float32)
    return restored


@settings(deadline=None)
@given(blocks=blocks_of_weights(), bits=st.sampled_from([4, 8]))
def test_with_zero_points_it_is_never_worse_than_plain_rounding(blocks: Float32, bits: int) -> None:
    values, scales, zeros = round_asymmetric(blocks.copy(), bits)
    assert values.dtype == zeros.dtype == np.uint8
    assert values.max() < 2**bits
    assert zeros.max() < 2**bits
    assert (scales > 0).all()
    restored = (values.astype(np.float32) - zeros[:, None]) * scales[:, None]
    plain = square_error(blocks, plain_asymmetric(blocks, bits))
    size = np.square(blocks, dtype=np.float64).sum(1)
    assert (square_error(blocks, restored) <= plain * (1 + 1e-4) + 1e-10 * size).all()


@settings(deadline=None)
@given(blocks=blocks_of_weights(), plain=st.booleans())
def test_symmetric_at_8_bits(blocks: Float32, plain: bool) -> None:
    values, scales = round_symmetric(blocks.copy(), 8, plain_scales=plain)
    assert values.dtype == np.int8
    assert np.abs(values.astype(int)).max() <= 127
    if not plain:
        error = square_error(blocks, values * scales[:, None])
        size = np.square(blocks, dtype=np.float64).sum(1)
        assert (error <= square_error(blocks, plain_symmetric(blocks, 8)) * (1 + 1e-4) + 1e-10 * size).all()


@settings(deadline=None)
@given(blocks=blocks_of_weights())
def test_symmetric_at_4_bits_uses_the_level_that_only_one_side_has(blocks: Float32) -> None:
    values, scales = round_symmetric(blocks.copy(), 4)
    assert values.min() >= -8
    assert values.max() <= 7
    error = square_error(blocks, values * scales[:, None])
    # Its worst case: the largest value takes -8, so one as large on the other side is cut off to 7.
    largest = np.abs(blocks).max(1)
    half_a_step = largest / 8 / 2
    bound = np.maximum(
        half_a_step[:, None], np.where(np.abs(blocks) > 7.5 / 8 * largest[:, None], largest[:, None] / 8, 0)
    )
    assert (error <= np.square(bound, dtype=np.float64).sum(1) * (1 + 1e-3) + 1e-30).all()


@settings(deadline=None)
@given(blocks=blocks_of_weights())
def test_plain_scales_are_exact_in_both_half_precisions(blocks: Float32) -> None:
    values, scales = round_symmetric(blocks.copy(), 4, plain_scales=True)
    assert (scales > 0).all()
    assert values.min() >= -8
    assert values.max() <= 7
    assert not (scales.view(np.uint32) & 0xFFFF).any()
    within = scales <= np.finfo(np.float16).max
    np.testing.assert_array_equal(scales[within].astype(np.float16).astype(np.float32), scales[within])


@settings(deadline=None, max_examples=40)
@given(blocks=blocks_of_weights(), seed=st.integers(0, 100))
def test_errors_where_they_count_are_no_larger_than_without_knowing(blocks: Float32, seed: int) -> None:
    counts = np.random.default_rng(seed).uniform(0.01, 10, blocks.shape).astype(np.float32)
    for bits in (4, 8):
        values, scales, zeros = round_asymmetric(blocks.copy(), bits, counts)
        restored = (values.astype(np.float32) - zeros[:, None]) * scales[:, None]
        plain = square_error(blocks, plain_asymmetric(blocks, bits), counts)
        size = (np.square(blocks, dtype=np.float64) * counts).sum(1)
        assert (square_error(blocks, restored, counts) <= plain * (1 + 1e-4) + 1e-10 * size).all()


def test_what_lies_on_the_grid_comes_back() -> None:
    levels = np.arange(16, dtype=np.float32)
    for zero in (0, 3, 15):
        blocks = ((levels - zero) * np.float32(0.25))[None]
        values, scales, zeros = round_asymmetric(blocks, 4)
        np.testing.assert_allclose((values.astype(np.float32) - zeros) * scales[:, None], blocks, rtol=1e-6)
    symmetric = (np.arange(-8, 8, dtype=np.float32) * 0.5)[None]
    values4, scales4 = round_symmetric(symmetric, 4)
    np.testing.assert_array_equal(values4 * scales4[:, None], symmetric)


@pytest.mark.parametrize("value", [0.0, 1.5, -1.5])
def test_a_block_of_one_value(value: float) -> None:
    block = np.full((1, 8), value, np.float32)
    values, scales, zeros = round_asymmetric(block, 4)
    np.testing.assert_allclose((values.astype(np.float32) - zeros) * scales[:, None], block, rtol=1e-6)
    for bits in (4, 8):
        signed, scale = round_symmetric(block, bits)
        np.testing.assert_allclose(signed * scale[:, None], block, rtol=1e-6)

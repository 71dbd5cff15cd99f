from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit_exporters.quantization import CHUNK, Encoding, choose, decode, encode, precision, sensitive_weights

ENCODINGS = [
    Encoding(32),
    Encoding(16),
    Encoding(8),
    Encoding(8, block=32),
    Encoding(8, block=32, zero_point=True),
    Encoding(4, block=32, zero_point=True),
    Encoding(4, block=32),
    Encoding(4, block=16, plain_scales=True),
    Encoding(4),
]
WORST = {32: 0.0, 16: 0.001, 8: 0.006, 4: 0.15}
"""Largest error of one value, over the largest value of its row. A block's own range is no wider than the row's."""


@settings(deadline=None)
@given(
    encoding=st.sampled_from(ENCODINGS),
    rows=st.integers(1, 5),
    columns=st.integers(1, 100),
    seed=st.integers(0, 10_000),
    counts=st.booleans(),
)
def test_what_is_decoded_is_near_what_was_encoded(
    encoding: Encoding, rows: int, columns: int, seed: int, counts: bool
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.05, (rows, columns)).astype(np.float32)
    before = weights.copy()
    importance = rng.uniform(0.5, 2, columns).astype(np.float32) if counts else None
    encoded = encode(weights, encoding, importance)
    decoded = decode(encoded, columns)
    assert decoded.shape == weights.shape
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(weights, before)
    largest = np.abs(weights).max(axis=1, keepdims=True)
    # The search may cut off a quarter of a block's range for the sake of the rest.
    worst = 0.3 if encoding.bits == 4 else WORST[encoding.bits]
    assert (np.abs(decoded - weights) <= worst * largest).all()
    assert np.square(decoded - weights).sum() <= np.square(WORST[encoding.bits] * largest).sum() * columns
    if encoding.quantized:
        assert encoded.values.shape == (rows, encoding.padded(columns))
        assert encoded.scales is not None
        assert encoded.scales.shape == (rows, encoding.blocks(columns))
        assert (encoded.zero_points is not None) == encoding.zero_point
        assert encoded.values.dtype == (np.uint8 if encoding.zero_point else np.int8)


def test_rows_are_quantized_alike_however_many_come_at_once() -> None:
    weights = np.random.default_rng(0).normal(size=(2 * CHUNK // 96 + 3, 96)).astype(np.float32)
    importance = np.random.default_rng(1).uniform(0.1, 3, 96).astype(np.float32)
    for encoding in ENCODINGS[2:]:
        whole = decode(encode(weights, encoding, importance), 96)
        for part in (slice(0, 1), slice(700, 720), slice(len(weights) - 1, len(weights))):
            np.testing.assert_array_equal(decode(encode(weights[part], encoding, importance), 96), whole[part])


def test_a_column_that_counts_is_rounded_better() -> None:
    weights = np.random.default_rng(0).normal(size=(200, 32)).astype(np.float32)
    importance = np.ones(32, np.float32)
    importance[5] = 1000
    encoding = Encoding(4, block=32, zero_point=True)
    plain, weighed = (np.abs(decode(encode(weights, encoding, i), 32) - weights)[:, 5] for i in (None, importance))
    assert weighed.mean() < 0.5 * plain.mean()


def test_no_importance_at_all_is_no_licence() -> None:
    weights = np.random.default_rng(0).normal(size=(20, 32)).astype(np.float32)
    encoding = Encoding(4, block=32, zero_point=True)
    decoded = decode(encode(weights, encoding, np.zeros(32, np.float32)), 32)
    assert np.abs(decoded - weights).max() < 0.5


def test_words() -> None:
    assert list(map(str, ENCODINGS[:6])) == [
        "float32",
        "float16",
        "int8 per row symmetric",
        "int8 block 32 symmetric",
        "int8 block 32 with zero points",
        "int4 block 32 with zero points",
    ]


@pytest.mark.parametrize(
    ("mode", "parameters", "chosen"),
    [("auto", 499_999_999, "int8"), ("auto", 500_000_000, "int4"), ("int8", 10**12, "int8"), ("none", 0, "none")],
)
def test_choosing(mode: str, parameters: int, chosen: str) -> None:
    assert choose(mode, parameters) == chosen


@pytest.mark.parametrize("mode", ["int3", "INT4", "", "None"])
def test_an_unknown_quantization_lists_those_there_are(mode: str) -> None:
    with pytest.raises(UsageError, match="unknown quantization") as caught:
        choose(mode, 0)
    assert "auto, int4, int8, none" in caught.value.hint


def test_which_precision_a_weight_gets() -> None:
    matrix, vector = (64, 32), (64,)
    assert precision("layers.0.mlp.up.weight", matrix, "int4") == "int4"
    assert precision("layers.0.mlp.up.weight", matrix, "int4", {"layers.0.mlp.up.weight"}) == "int8"
    assert precision("layers.0.mlp.up.weight", matrix, "none", {"layers.0.mlp.up.weight"}) == "none"
    assert precision("embed.weight", matrix, "int4") == "int8"
    assert precision("head.weight", matrix, "int4") == "int8"
    assert precision("positions.weight", matrix, "int4") == "none"
    assert precision("layers.0.mlp.up.bias", vector, "int8") == "none"
    assert precision("norm.weight", vector, "int4") == "none"


def test_large_models_keep_nothing_at_8_bits() -> None:
    names = ["layers.0.mlp.up.weight", "layers.1.attention.k.weight", "layers.1.attention.q.weight"]
    assert sensitive_weights(names, 3, 4_000_000_000) == frozenset()
    assert sensitive_weights(names, 3, 135_000_000) == {names[0], names[1]}

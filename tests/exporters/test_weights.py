from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit_exporters.weights import Array, Flat, Float32, Map, Rows, Scaled, Slice, Stack, Take, Transpose, transpose

MATRIX = np.arange(35, dtype=np.float32).reshape(7, 5)
ORDER = np.array([6, 0, 0, 3])
FACTORS = np.array([1.0, 0.5, -2.0, 3.0, 0.0, 0.25, 8.0], np.float32)
COMPOSED: dict[str, tuple[Callable[[Rows], Rows], Float32]] = {
    "array": (lambda rows: rows, MATRIX),
    "slice": (lambda rows: Slice(rows, 2, 6), MATRIX[2:6]),
    "stack": (lambda rows: Stack([rows, Slice(rows, 0, 0), rows]), np.concatenate([MATRIX, MATRIX])),
    "take": (lambda rows: Take(rows, ORDER), MATRIX[ORDER]),
    "transpose": (Transpose, MATRIX.T),
    "flat": (Flat, MATRIX.reshape(-1)),
    "map": (lambda rows: Map(rows, lambda values: values + 1), MATRIX + 1),
    "scaled rows": (lambda rows: Scaled(rows, FACTORS[:7], 0), MATRIX * FACTORS[:7, None]),
    "scaled columns": (lambda rows: Scaled(rows, FACTORS[:5], 1), MATRIX * FACTORS[:5]),
    "scaled vector": (lambda rows: Scaled(Flat(rows), np.tile(FACTORS, 5), 0), MATRIX.ravel() * np.tile(FACTORS, 5)),
    "transposed back": (lambda rows: transpose(transpose(rows)), MATRIX),
    "stack of slices, taken": (
        lambda rows: Take(Stack([Slice(rows, 5, 7), Slice(rows, 0, 2)]), np.array([3, 1, 0, 2])),
        MATRIX[[1, 6, 5, 0]],
    ),
    "slice of a transposition": (lambda rows: Slice(Transpose(rows), 1, 4), MATRIX.T[1:4]),
}


@pytest.mark.parametrize("name", COMPOSED)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_any_span_of_rows_is_that_of_the_whole(name: str, data: st.DataObject) -> None:
    compose, expected = COMPOSED[name]
    rows = compose(Array(MATRIX))
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    assert rows.shape == expected.shape
    np.testing.assert_array_equal(rows.read(start, stop), expected[start:stop])
    np.testing.assert_array_equal(rows.all(), expected)


def test_blocks_cover_every_row_once() -> None:
    spans = list(Array(MATRIX).blocks(block_bytes=2 * 5 * 4))
    assert spans == [(0, 2), (2, 4), (4, 6), (6, 7)]


def test_a_read_is_a_copy() -> None:
    rows = Flat(Array(MATRIX))
    rows.read(0, 3)[:] = -1
    assert rows.read(0, 3).tolist() == [0, 1, 2]


def test_a_slice_outside_of_its_source_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"rows 3\.\.9 of a tensor with 7 rows"):
        Slice(Array(MATRIX), 3, 9)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit_runtimes._tflite_plan import HIDDEN, Plan, Signature, feeds

CAPACITY = 600
SIZES = {"decode": 1, "chunk": 16, "prefill": 128}
SIGNATURES = {
    f"{span}/{kind}": Signature(f"{span}/{kind}", kind, size, span)
    for span in (256, CAPACITY)
    for kind, size in SIZES.items()
}


def kinds(count: int, start: int, last: int) -> list[tuple[str, int, int]]:
    calls = Plan(SIGNATURES).calls(count, start, last)
    return [(call.signature.kind, call.signature.span, call.count) for call in calls]


@given(st.data())
def test_every_token_once_in_order_within_its_span_and_the_wanted_ones_with_logits(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, CAPACITY - 1))
    count = data.draw(st.integers(1, CAPACITY - start))
    last = data.draw(st.integers(1, count))
    done = 0
    for call in Plan(SIGNATURES).calls(count, start, last):
        assert call.first == done
        assert 1 <= call.count <= call.signature.tokens
        assert start + done + call.signature.tokens <= call.signature.span, "or padding moves the write backwards"
        done += call.count
        assert call.signature.kind != "prefill" or done <= count - last, "prefill has no logits"
    assert done == count


@pytest.mark.parametrize(
    ("count", "start", "last", "expected"),
    [
        (1, 0, 1, [("decode", 256, 1)]),
        (1, 256, 1, [("decode", CAPACITY, 1)]),
        (5, 0, 1, [("chunk", 256, 5)]),
        (5, 0, 5, [("chunk", 256, 5)]),
        (129, 0, 1, [("prefill", 256, 128), ("decode", 256, 1)]),
        (100, 200, 1, [("prefill", CAPACITY, 99), ("decode", CAPACITY, 1)]),
        (20, 0, 1, [("chunk", 256, 16), ("chunk", 256, 4)]),
        (3, CAPACITY - 3, 1, [("decode", CAPACITY, 1)] * 3),
    ],
)
def test_the_cheapest_signatures_are_taken(
    count: int, start: int, last: int, expected: list[tuple[str, int, int]]
) -> None:
    assert kinds(count, start, last) == expected


def test_decode_alone_is_enough() -> None:
    only = {"decode": Signature("decode", "decode", 1, 8)}
    assert [call.count for call in Plan(only).calls(8, 0, 2)] == [1] * 8


def test_the_mask_shows_what_is_before_and_padding_has_a_position_that_is_there() -> None:
    inputs = feeds(Signature("c", "chunk", 4, 8), np.array([5, 6]), 5, 8)
    assert inputs["tokens"].tolist() == [[5, 6, 0, 0]]
    assert inputs["input_pos"].tolist() == [5, 6, 7, 7]
    assert (inputs["mask"][0, 0, :2] == HIDDEN).tolist() == [[False] * 6 + [True] * 2, [False] * 7 + [True]]

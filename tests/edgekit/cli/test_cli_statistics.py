from __future__ import annotations

import pytest

from edgekit.cli.statistics import measured


def test_nine_values_lose_the_lowest_and_the_highest() -> None:
    found = measured([9, 1, 8, 2, 7, 3, 6, 4, 5])
    assert (found.median, found.low, found.high, found.rounds) == (5, 2, 8, 9)


@pytest.mark.parametrize("count", [1, 3, 5, 6])
def test_few_values_keep_their_whole_range(count: int) -> None:
    found = measured(range(count))
    assert (found.low, found.high) == (0, count - 1)

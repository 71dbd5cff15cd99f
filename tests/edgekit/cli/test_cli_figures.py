from __future__ import annotations

import pytest

from edgekit.cli import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (999.6, "1.00 kB"), (94_123_456, "94.1 MB"), (2.7e9, "2.70 GB"), (7e15, "7000 TB")],
)
def test_sizes(value: float, text: str) -> None:
    assert figures.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(12, "12"), (134_515_008, "135 M"), (3.82e9, "3.82 B")])
def test_parameters(value: float, text: str) -> None:
    assert figures.parameters(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0312, "31 ms"), (2.34, "2.3 s"), (99.94, "99.9 s"), (245, "4:05"), (3725, "1:02:05")]
)
def test_seconds(value: float, text: str) -> None:
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.00 tok/s"), (8.314, "8.31 tok/s"), (14.02, "14.0 tok/s"), (114.2, "114 tok/s")]
)
def test_rates(value: float, text: str) -> None:
    assert figures.rate(value) == text


def test_parts_name_their_unit_once() -> None:
    assert figures.part(512, 2556, "tokens") == "512 of 2,556 tokens"
    assert figures.part(40e6, 94.1e6, "B") == "40.0 MB of 94.1 MB"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 µJ"), (0.0004, "400 µJ"), (0.0123, "12.3 mJ"), (0.9996, "1.00 J"), (-0.25, "-250 mJ"), (1500, "1.50 kJ")],
)
def test_joules(value: float, text: str) -> None:
    assert figures.joules(value) == text
    assert figures.watts(value) == text.replace("J", "W")

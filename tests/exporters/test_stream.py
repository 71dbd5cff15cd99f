from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.progress import Silent
from edgekit_exporters import stream
from edgekit_exporters.quantization import Encoded, Encoding, decode, encode
from edgekit_exporters.stream import Slot, fill
from edgekit_exporters.weights import Array, Float32, Rows

INT8, FLOAT = Encoding(8, 32), Encoding(32)


class Counted(Rows):
    """Rows that say how often they were read, and give small blocks."""

    def __init__(self, values: Float32, rows: int) -> None:
        self.values, self.rows, self.shape = values, rows, values.shape
        self.spans: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def blocks(self, block_bytes: int = 0):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return Array(self.values).blocks(self.rows * 4 * max(1, self.values[0].size))

    def read(self, start: int, stop: int) -> Float32:
        with self._lock:
            self.spans.append((start, stop))
        time.sleep(random.random() / 2000)
        return self.values[start:stop].copy()


class Told(Silent):
    def __init__(self) -> None:
        self.total, self.done, self.finished = 0, 0, False

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        self.total = total or 0

    def advance(self, amount: int) -> None:
        self.done += amount

    def finish(self) -> None:
        self.finished = True


class Target:
    """What a slot writes into: every row exactly once."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.values = np.full(shape, np.nan, np.float32)

    def write(self, first: int, encoded: Encoded) -> None:
        rows = decode(encoded, self.values.shape[-1])
        assert np.isnan(self.values[first : first + len(rows)]).all()
        self.values[first : first + len(rows)] = rows


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_every_row_is_read_once_and_written_once_in_each_encoding(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    weights = {
        f"w{k}": Counted(
            rng.normal(size=(data.draw(st.integers(1, 9)), 40)).astype(np.float32), data.draw(st.integers(1, 4))
        )
        for k in range(data.draw(st.integers(1, 3)))
    }
    slots, targets = [], []
    for name, rows in weights.items():
        for encoding in data.draw(st.lists(st.sampled_from([INT8, FLOAT]), min_size=1, max_size=3)):
            target = Target(rows.shape)
            targets.append((rows, encoding, target))
            slots.append(Slot(name, encoding, target.write))
    random.Random(1).shuffle(slots)
    told = Told()
    fill(weights, slots, told)
    for rows in weights.values():
        assert sorted(rows.spans) == list(rows.blocks())
    for rows, encoding, target in targets:
        np.testing.assert_array_equal(target.values, decode(encode(rows.values, encoding), 40))
    assert told.total == told.done == sum(rows.values.nbytes for rows in weights.values())
    assert told.finished


def test_each_encoding_is_computed_once_for_all_its_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    encodings: list[Encoding] = []

    def counted(rows: Float32, encoding: Encoding, importance: Float32 | None) -> Encoded:
        encodings.append(encoding)
        return encode(rows, encoding, importance)

    monkeypatch.setattr(stream, "encode", counted)
    slots = [Slot("w", encoding, Target((3, 40)).write) for encoding in (INT8, FLOAT, INT8, FLOAT)]
    fill({"w": Array(np.ones((3, 40), np.float32))}, slots, Silent())
    assert sorted(encodings, key=str) == sorted([INT8, FLOAT], key=str)


def test_weights_without_a_slot_are_not_read() -> None:
    unused = Counted(np.ones((2, 4), np.float32), 1)
    fill(
        {"unused": unused, "w": Array(np.ones((1, 4), np.float32))}, [Slot("w", FLOAT, Target((1, 4)).write)], Silent()
    )
    assert unused.spans == []


def test_importance_reaches_the_rounding() -> None:
    weights = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    importance = np.geomspace(1, 1e4, 32).astype(np.float32)
    encoding = Encoding(4, 32, zero_point=True)
    target = Target(weights.shape)
    fill({"w": Array(weights)}, [Slot("w", encoding, target.write)], Silent(), {"w": importance})
    np.testing.assert_array_equal(target.values, decode(encode(weights, encoding, importance), 32))


@pytest.mark.parametrize("error", [ValueError("damaged"), KeyboardInterrupt()])
def test_an_error_ends_it_and_is_told_as_it_is(error: BaseException) -> None:
    def broken(first: int, encoded: Encoded) -> None:
        if first == 5:
            raise error

    told = Told()
    rows = Counted(np.ones((500, 4), np.float32), 1)
    with pytest.raises(type(error)) as caught:
        fill({"w": rows}, [Slot("w", FLOAT, broken)], told)
    assert caught.value is error
    assert told.finished
    assert len(rows.spans) < 50, "what was waiting is not done any more"
    assert threading.active_count() < 10

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.errors import BundleError
from edgekit_exporters.packed import ALIGNMENT, PackedFile, Placed, pack, read_index, unpack, write_index
from edgekit_exporters.quantization import Encoding, decode, encode

ENCODINGS = [
    Encoding(32), Encoding(16), Encoding(8), Encoding(8, 32), Encoding(8, 16, zero_point=True),
    Encoding(4, 32, zero_point=True), Encoding(4, 32),
]  # fmt: skip
anyhow = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anyhow
@given(data=st.data(), bits=st.sampled_from([4, 8]))
def test_unpacking_undoes_packing(data: st.DataObject, bits: int) -> None:
    rows, count = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 9))
    values = np.random.default_rng(rows * count).integers(0, 1 << bits, (rows, count)).astype(np.uint8)
    packed = pack(values, bits)
    assert packed.shape == (rows, -(-count * bits // 8))
    np.testing.assert_array_equal(unpack(packed, bits, count), values)


def test_the_even_element_is_in_the_low_half() -> None:
    assert pack(np.array([[1, 2, 3]], np.uint8), 4).tolist() == [[0x21, 0x03]]


@settings(anyhow, max_examples=50)
@given(data=st.data(), encoding=st.sampled_from(ENCODINGS), half=st.booleans())
def test_any_weight_comes_back_by_any_rows(tmp_path: Path, data: st.DataObject, encoding: Encoding, half: bool) -> None:
    rows, columns = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 70))
    # Drawn before the file is opened: a draw may end the example, and would leave it open.
    order = data.draw(st.permutations(range(rows)))
    weights = np.random.default_rng(rows * columns).normal(size=(rows, columns)).astype(np.float32)
    file = PackedFile(tmp_path / "data")
    shape = Placed((rows, columns), encoding, 0)
    placed = Placed(
        (rows, columns), encoding, file.reserve(rows * shape.row_bytes), file.reserve(rows * shape.blocks * 4),
        file.reserve(rows * shape.zero_point_bytes), 16 if half and encoding.quantized else 32,
    )  # fmt: skip
    slot = placed.slot(file, "w")
    encoded = encode(weights, encoding)
    for row in order:
        slot.write(row, encode(weights[row : row + 1], encoding))
    file.close()
    assert (tmp_path / "data").stat().st_size == file.size
    read = read_index(write_index({"w": placed}), tmp_path / "data")["w"]
    expected = decode(encoded, columns)
    if placed.scale_bits == 16 and encoded.scales is not None:
        assert np.abs(read.all() - expected).max() <= 1e-3 * np.abs(expected).max()
        expected = read.all()
    np.testing.assert_array_equal(read.all(), expected)
    start = data.draw(st.integers(0, rows))
    stop = data.draw(st.integers(start, rows))
    np.testing.assert_array_equal(read.read(start, stop), expected[start:stop])


def test_vectors_are_kept_as_they_are(tmp_path: Path) -> None:
    file = PackedFile(tmp_path / "data")
    values = np.arange(5, dtype=np.float32)
    placed = Placed((5,), Encoding(32), file.reserve(20))
    placed.slot(file, "v").write(0, encode(values, Encoding(32)))
    file.close()
    read = read_index(write_index({"v": placed}), tmp_path / "data")["v"]
    np.testing.assert_array_equal(read.read(1, 4), values[1:4])


def test_room_is_aligned_and_never_shared(tmp_path: Path) -> None:
    file = PackedFile(tmp_path / "data")
    sizes = [1, 64, ALIGNMENT, 3, ALIGNMENT + 1, 0, 7]
    positions = [file.reserve(size) for size in sizes]
    ends = [position + size for position, size in zip(positions, sizes, strict=True)]
    assert all(position >= end for position, end in zip(positions[1:], ends, strict=False))
    assert all(p % (ALIGNMENT if size >= ALIGNMENT else 64) == 0 for p, size in zip(positions, sizes, strict=True))
    file.close()
    file.close()
    assert (tmp_path / "data").stat().st_size == ends[-1]


def test_many_threads_may_write(tmp_path: Path) -> None:
    file = PackedFile(tmp_path / "data")
    position = file.reserve(64 * 100)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: file.write(position + 64 * n, np.full(64, n, np.uint8)), range(100)))
    file.close()
    assert (tmp_path / "data").read_bytes() == b"".join(bytes([n]) * 64 for n in range(100))


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(30))
    rows = read_index(write_index({"w": Placed((2, 4), Encoding(32), 0)}), tmp_path / "data")["w"]
    np.testing.assert_array_equal(rows.read(0, 1), np.zeros((1, 4), np.float32))
    with pytest.raises(BundleError, match="ends within its weights"):
        rows.read(0, 2)


PLACE = Placed((4, 32), Encoding(4, 32, zero_point=True), 0, 64, 128).to_json()


@pytest.mark.parametrize("key", PLACE)
def test_an_index_without_a_key(key: str, tmp_path: Path) -> None:
    text = json.dumps({"w": {name: value for name, value in PLACE.items() if name != key}})
    with pytest.raises(BundleError, match=rf"index of its weights is damaged \(KeyError: '{key}'\)"):
        read_index(text, tmp_path / "data")


@anyhow
@given(
    key=st.sampled_from(sorted(PLACE)),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=3),
)
def test_a_spoiled_index_is_refused_or_harmless(key: str, value: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(300))
    text = json.dumps({"w": {**PLACE, key: value}})
    try:
        rows = read_index(text, tmp_path / "data")["w"]
        if rows.shape[0] * rows.shape[-1] < 1 << 20:
            rows.read(0, 1)
    except BundleError:
        return


@anyhow
@given(text=st.text(max_size=30) | st.sampled_from(["[]", "null", "3", '"w"', '{"w": []}', "[" * 100_000]))
def test_any_text_is_refused_or_empty(text: str, tmp_path: Path) -> None:
    try:
        assert read_index(text, tmp_path / "data") == {}
    except BundleError:
        return

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints import safetensors
from edgekit_exporters.checkpoints.files import PositionedFile
from edgekit_exporters.checkpoints.safetensors import SafetensorsRows, open_safetensors

Write = Callable[..., Path]


_opened: list[PositionedFile] = []


@pytest.fixture(autouse=True)
def _close_files() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def read(path: Path) -> dict[str, SafetensorsRows]:
    _opened.append(PositionedFile(path))
    return open_safetensors(_opened[-1])


def write_raw(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def tensor(begin: int, end: int, shape: Any = (2,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_reads_the_values_it_was_given(tmp_path: Path, write_safetensors: Write, dtype: type) -> None:
    values = np.random.default_rng(0).standard_normal((7, 5)).astype(dtype)
    rows = read(write_safetensors(tmp_path / "a.safetensors", {"x": values[:1], "w": values}))["w"]
    assert rows.shape == (7, 5)
    np.testing.assert_array_equal(rows.all(), values.astype(np.float32))
    np.testing.assert_array_equal(rows.read(2, 4), values[2:4].astype(np.float32))
    assert rows.read(3, 3).shape == (0, 5)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path, write_safetensors: Write) -> None:
    values = np.array([[1.0, -2.5], [3.140625, 2.0**-126]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    rows = read(write_safetensors(tmp_path / "a.safetensors", {"w": bits}, bf16=("w",)))["w"]
    np.testing.assert_array_equal(rows.all(), values)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_shapes_and_spans_come_back(tmp_path: Path, write_safetensors: Write, data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=2), min_size=1, max_size=4))
    random = np.random.default_rng(len(shapes))
    arrays = {f"t{i}": random.standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)}
    tensors = read(write_safetensors(tmp_path / "a.safetensors", arrays))
    assert set(tensors) == set(arrays)
    for name, array in arrays.items():
        start = data.draw(st.integers(0, array.shape[0]))
        stop = data.draw(st.integers(start, array.shape[0]))
        np.testing.assert_array_equal(tensors[name].read(start, stop), array[start:stop])


def test_many_threads_may_read_one_file(tmp_path: Path, write_safetensors: Write) -> None:
    values = np.random.default_rng(0).standard_normal((64, 300)).astype(np.float32)
    rows = read(write_safetensors(tmp_path / "a.safetensors", {"w": values}))["w"]
    with ThreadPoolExecutor(8) as pool:
        for start, got in enumerate(pool.map(lambda start: rows.read(start, 64), list(range(64)) * 4)):
            np.testing.assert_array_equal(got, values[start % 64 :])


def test_reading_works_where_the_system_has_no_positioned_reads(
    tmp_path: Path, write_safetensors: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.preadv", raising=False)
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.testing.assert_array_equal(read(write_safetensors(tmp_path / "a", {"w": values}))["w"].read(1, 5), values[1:5])


def test_buffers_are_listed_but_are_no_weights(tmp_path: Path, write_safetensors: Write) -> None:
    tensors = read(write_safetensors(tmp_path / "a.safetensors", {"position_ids": np.arange(4, dtype=np.int64)}))
    assert tensors["position_ids"].shape == (4,)
    with pytest.raises(CheckpointError, match="position_ids holds I64"):
        tensors["position_ids"].all()


@pytest.mark.parametrize("shape", [(), (1, 1, 4, 4)])
def test_other_dimensions_are_listed_but_not_read(tmp_path: Path, write_safetensors: Write, shape: Any) -> None:
    rows = read(write_safetensors(tmp_path / "a.safetensors", {"h.0.attn.bias": np.ones(shape, np.float32)}))
    with pytest.raises(UnsupportedError, match=r"h\.0\.attn\.bias has the shape"):
        rows["h.0.attn.bias"].read(0, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_where_they_are_read(
    tmp_path: Path, write_safetensors: Write, bad: float
) -> None:
    values = np.ones((6, 4), np.float32)
    values[4, 3] = bad
    rows = read(write_safetensors(tmp_path / "bad.safetensors", {"model.w": values}))["model.w"]
    assert rows.read(0, 4).sum() == 16
    with pytest.raises(CheckpointError, match=r"bad\.safetensors: the tensor model\.w holds -?(nan|inf) at \[4, 3\]"):
        rows.read(3, 6)


def test_a_sum_that_overflows_is_no_error(tmp_path: Path, write_safetensors: Write) -> None:
    values = np.full((4, 4), 3e38, np.float32)
    np.testing.assert_array_equal(read(write_safetensors(tmp_path / "a", {"w": values}))["w"].all(), values)


def test_float64_beyond_float32_is_refused(tmp_path: Path, write_safetensors: Write) -> None:
    with pytest.raises(CheckpointError, match="holds inf"):
        read(write_safetensors(tmp_path / "a", {"w": np.array([1e300])}))["w"].all()


HOSTILE: dict[str, tuple[Any, bytes, str]] = {
    "not JSON": (b"{'a': 1", b"", "not valid JSON"),
    "not UTF-8": (b'{"\xff": 1}', b"", "not valid JSON"),
    "nested without end": (b"[" * 100_000, b"", "not valid JSON"),
    "a number of 10,000 digits": (b'{"a": ' + b"9" * 10_000 + b"}", b"", "not valid JSON"),
    "not an object": ([1, 2], b"", "not a JSON object"),
    "a name twice": (b'{"a": {}, "a": {}}', b"", "'a' is there twice"),
    "no dtype": ({"w": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8), "the tensor w is described by"),
    "an entry that is no object": ({"w": 3}, b"", "the tensor w is described by 3"),
    "a negative size": ({"w": tensor(0, 8, (-2,))}, bytes(8), "the tensor w is described by"),
    "a boolean size": ({"w": tensor(0, 4, [True])}, bytes(4), "the tensor w is described by"),
    "a huge size": ({"w": tensor(0, 8, (1 << 60,))}, bytes(8), "the tensor w is described by"),
    "sizes whose product is huge": ({"w": tensor(0, 8, (1 << 50,) * 8)}, bytes(8), "the tensor w .* takes"),
    "a hundred dimensions": ({"w": tensor(0, 4, (1,) * 100)}, bytes(4), "the tensor w is described by"),
    "a range that does not fit": ({"w": tensor(0, 12)}, bytes(12), r"the tensor w \(F32 \[2\]\) takes 8 bytes.* 12"),
    "a range backwards": ({"w": tensor(8, 0)}, bytes(8), "the tensor w .* takes 8 bytes"),
    "beyond the end": ({"w": tensor(0, 8)}, bytes(7), "the tensor w ends at byte 8 of 7"),
    "an overlap": ({"v": tensor(0, 8), "w": tensor(4, 12)}, bytes(12), "the tensor w overlaps v"),
    "a gap": ({"v": tensor(0, 8), "w": tensor(12, 20)}, bytes(20), "the tensor w leaves a gap behind v"),
    "bytes of no tensor": ({"w": tensor(0, 8)}, bytes(9), "1 bytes behind the last tensor"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, case: str) -> None:
    header, data, message = HOSTILE[case]
    with pytest.raises(CheckpointError, match=message) as caught:
        read(write_raw(tmp_path / "lying.safetensors", header, data))
    assert "lying.safetensors" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2"])
def test_float8_is_refused_by_name(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(UnsupportedError, match=f"the tensor w is quantized to float8 .{dtype}"):
        read(write_raw(tmp_path / "a.safetensors", {"w": tensor(0, 2, dtype=dtype)}, bytes(2)))


def test_unknown_types_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="'F4'"):
        read(write_raw(tmp_path / "a.safetensors", {"w": tensor(0, 1, dtype="F4")}, bytes(1)))


def test_a_file_without_a_whole_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(b"1234567")
    with pytest.raises(CheckpointError, match="7 bytes"):
        read(path)
    path.write_bytes(struct.pack("<Q", 1000) + b"{}")
    with pytest.raises(CheckpointError, match="a header of 1,000 bytes in a file of 10"):
        read(path)


def test_a_header_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", safetensors.MAX_HEADER + 1))
        file.truncate(safetensors.MAX_HEADER + 100)
    with pytest.raises(CheckpointError, match=r"a header of 100,000,001 bytes; 100,000,000 are allowed"):
        read(path)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200), cut=st.integers(0, 150))
def test_noise_and_cuts_never_escape(tmp_path: Path, write_safetensors: Write, noise: bytes, cut: int) -> None:
    whole = write_safetensors(tmp_path / "a", {"w": np.ones((3, 2), np.float32)}).read_bytes()
    for content in (noise, whole[:cut], whole[:cut] + noise):
        (tmp_path / "b").write_bytes(content)
        with contextlib.suppress(CheckpointError, UnsupportedError):
            for rows in read(tmp_path / "b").values():
                rows.all()


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path, write_safetensors: Write) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"w": np.ones((100, 10), np.float32)})
    rows = read(path)["w"]
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(CheckpointError, match=r"a\.safetensors ends at byte 1,000"):
        rows.all()


def test_rows_outside_of_the_tensor_are_a_mistake_of_the_caller(tmp_path: Path, write_safetensors: Write) -> None:
    rows = read(write_safetensors(tmp_path / "a", {"w": np.ones((3, 2), np.float32)}))["w"]
    with pytest.raises(ValueError, match=r"rows 1\.\.4 of w, which has 3"):
        rows.read(1, 4)

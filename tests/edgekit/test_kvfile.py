from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit import kvfile
from edgekit.errors import EdgekitError
from edgekit.kvfile import ALIGNMENT, HEADER_AT, MAGIC, StateError, read_state, write_state

ARRAYS: dict[str, npt.NDArray[Any]] = {
    "keys.0": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "values.0": np.linspace(-1, 1, 6).astype(np.float16).reshape(2, 3),
    "scales": np.array([[-128, 127]], np.int8),
    "bits": np.array([0, 255], np.uint8),
    "nothing": np.zeros((2, 0, 4), np.float32),
}
anyhow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_state(tmp_path / "state", "onnx auto abc", [5, 0, 49151], ARRAYS)
    return tmp_path / "state"


def forged(path: Path, header: Any, data: bytes = b"") -> Path:
    """Write a file whose hash is right, whatever it says."""
    text = json.dumps(header).encode()
    rest = len(text).to_bytes(8, "little") + text + data
    # Less than one piece: its hash is hashed once more.
    path.write_bytes(MAGIC + hashlib.sha256(hashlib.sha256(rest).digest()).digest() + rest)
    return path


def test_a_header_that_nothing_needs_is_neither_written_nor_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(kvfile, "MAX_HEADER", 256)
    with pytest.raises(EdgekitError, match="would have a header of"):
        write_state(path, "onnx auto abc", [1], {}, {"text": "a" * 256})
    assert path.read_bytes() == before
    with pytest.raises(StateError, match="has a header of"):
        read_state(path, "onnx auto abc")
    with pytest.raises(StateError, match="has a header of"):
        kvfile.read_header(path)


def test_what_is_written_is_read(path: Path) -> None:
    state = read_state(path, "onnx auto abc")
    assert state.tokens == [5, 0, 49151]
    assert list(state.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert state.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(state.arrays[name], array)


@anyhow
@given(data=st.data())
def test_any_state_comes_back(tmp_path: Path, data: st.DataObject) -> None:
    tokens = data.draw(st.lists(st.integers(0, 1 << 31), max_size=5))
    shape = tuple(data.draw(st.lists(st.integers(0, 5), max_size=3)))
    dtype = data.draw(st.sampled_from([np.float32, np.float16, np.int8, np.uint8]))
    array = np.random.default_rng(len(tokens)).normal(0, 50, shape).astype(dtype)
    name, identity = data.draw(st.text(max_size=8)), data.draw(st.text(max_size=8))
    write_state(tmp_path / "any", identity, tokens, {name: array, f"{name}2": array})
    state = read_state(tmp_path / "any", identity)
    assert state.tokens == tokens
    assert list(state.arrays) == [name, f"{name}2"]
    for read in state.arrays.values():
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, array)


def test_arrays_are_mapped_and_aligned(path: Path) -> None:
    state = read_state(path, "onnx auto abc")
    assert isinstance(state.arrays["keys.0"].base, np.memmap)
    assert not state.arrays["keys.0"].flags.writeable
    length = int.from_bytes(path.read_bytes()[40:HEADER_AT], "little")
    assert (HEADER_AT + length) % ALIGNMENT == 0


def test_arrays_that_are_not_contiguous_are_written_as_they_look(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]
    write_state(tmp_path / "state", "", [], {"a": array})
    np.testing.assert_array_equal(read_state(tmp_path / "state", "").arrays["a"], array)


def test_other_types_are_a_mistake_of_the_runtime(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="float64"):
        write_state(tmp_path / "state", "", [], {"a": np.zeros(2)})
    assert list(tmp_path.iterdir()) == []


def test_another_identity_is_refused(path: Path) -> None:
    with pytest.raises(StateError, match="another model") as caught:
        read_state(path, "onnx auto abd")
    assert caught.value.hint


@anyhow
@given(data=st.data())
def test_a_flipped_bit_is_found(path: Path, data: st.DataObject) -> None:
    whole = path.read_bytes()
    spoiled = bytearray(whole)
    spoiled[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    damaged = path.with_name("damaged")
    damaged.write_bytes(spoiled)
    with pytest.raises(StateError):
        read_state(damaged, "onnx auto abc")


@anyhow
@given(data=st.data())
def test_a_cut_is_found(path: Path, data: st.DataObject) -> None:
    whole = path.read_bytes()
    damaged = path.with_name("damaged")
    damaged.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(StateError):
        read_state(damaged, "onnx auto abc")


@anyhow
@given(noise=st.binary(max_size=200), after=st.sampled_from([b"", MAGIC]))
def test_noise_is_refused(tmp_path: Path, noise: bytes, after: bytes) -> None:
    (tmp_path / "noise").write_bytes(after + noise)
    with pytest.raises(StateError):
        read_state(tmp_path / "noise", "")


def test_every_piece_of_a_long_file_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvfile, "PIECE", 64)
    path = tmp_path / "state"
    write_state(path, "", [1], {"a": np.arange(100, dtype=np.float32)})
    np.testing.assert_array_equal(read_state(path, "").arrays["a"], np.arange(100))
    whole = path.read_bytes()
    digests = [hashlib.sha256(whole[at : at + 64]).digest() for at in range(40, len(whole), 64)]
    assert whole[8:40] == hashlib.sha256(b"".join(digests)).digest()
    for at in range(40, len(whole), 16):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StateError):
            read_state(path, "")


def test_something_behind_the_end_is_found(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(64))
    with pytest.raises(StateError, match="does not match its hash"):
        read_state(path, "onnx auto abc")


ENTRY = {"name": "a", "dtype": "float32", "shape": [2, 2], "position": 0}
CHANGES: list[dict[str, Any]] = [
    {"dtype": "object"}, {"dtype": "int64"}, {"dtype": []}, {"shape": [5, 1]}, {"shape": [-2, -2]}, {"shape": [-1]},
    {"shape": ["2", 2]}, {"shape": [1.5]}, {"shape": None}, {"shape": [1 << 70, 0]}, {"shape": [1 << 62, 4]},
    {"position": -4}, {"position": 1}, {"position": 17}, {"position": None}, {"position": float("inf")},
    {"position": 1 << 80},
]  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        [],
        "text",
        {},
        {"identity": ""},
        {"identity": "", "arrays": []},
        {"identity": "", "arrays": 3, "tokens": []},
        {"identity": "", "arrays": [], "tokens": [float("inf")]},
        {"identity": "", "arrays": [], "tokens": ["one"]},
        *({"identity": "", "tokens": [], "arrays": [{**ENTRY, **change}]} for change in CHANGES),
    ],
    ids=str,
)
def test_a_lying_header_is_refused(tmp_path: Path, header: Any) -> None:
    with pytest.raises(StateError, match="header that cannot be read"):
        read_state(forged(tmp_path / "state", header, bytes(16)), "")


def test_a_header_beyond_reason_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(MAGIC + bytes(32) + (1 << 40).to_bytes(8, "little"))
    with pytest.raises(StateError, match="a header of 1099511627776 bytes"):
        read_state(tmp_path / "state", "")


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StateError, match="cannot read"):
        read_state(tmp_path / name, "")


def test_a_failure_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EdgekitError, match=r"cannot write .*No space left"):
        write_state(path, "onnx auto abc", [1], {})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]

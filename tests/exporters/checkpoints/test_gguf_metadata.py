from __future__ import annotations

import contextlib
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints.files import PositionedFile
from edgekit_exporters.checkpoints.gguf import open_gguf
from edgekit_exporters.checkpoints.gguf_metadata import GgufHead, read_head

Convert = Callable[..., Path]


def head_of(path: Path) -> GgufHead:
    file = PositionedFile(path)
    try:
        return read_head(file)
    finally:
        file.close()


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def string_entry(key: str, value: str) -> bytes:
    return text(key) + struct.pack("<I", 8) + text(value)


def place(name: str = "w", shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def write(path: Path, entries: tuple[bytes, ...] = (), places: tuple[bytes, ...] = (), version: int = 3) -> Path:
    head = b"GGUF" + struct.pack("<IQQ", version, len(places), len(entries)) + b"".join(entries) + b"".join(places)
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(64))
    return path


def test_every_type_of_value_comes_back(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    values: dict[str, tuple[Any, Callable[[str, Any], None]]] = {
        "u8": (200, writer.add_uint8), "i8": (-100, writer.add_int8), "u16": (60000, writer.add_uint16),
        "i16": (-30000, writer.add_int16), "u32": (1 << 31, writer.add_uint32), "i32": (-5, writer.add_int32),
        "u64": (1 << 63, writer.add_uint64), "i64": (-(1 << 62), writer.add_int64), "f32": (1e-05, writer.add_float32),
        "f64": (0.1, writer.add_float64), "yes": (True, writer.add_bool), "no": (False, writer.add_bool),
        "text": ("smollm ▁ 🙂", writer.add_string),
    }  # fmt: skip
    for key, (value, add) in values.items():
        add(key, value)
    writer.add_array("texts", ["a", "ü", "🙂"])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("flags", [True, False])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    metadata = head_of(tmp_path / "a.gguf").metadata
    for key, (value, _) in values.items():
        assert metadata[key] == value
        assert type(metadata[key]) is type(value)
    assert metadata["texts"] == ["a", "ü", "🙂"]
    assert metadata["numbers"].tolist() == [1, 2, 3]
    assert metadata["flags"].tolist() == [True, False]


def test_version_2_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", (string_entry("general.architecture", "llama"),), (place(),), version=2)
    head = head_of(path)
    assert head.metadata == {"general.architecture": "llama"}
    assert head.places["w"].shape == (4,)


def test_shapes_are_rows_first_and_offsets_count_from_the_file(tmp_path: Path) -> None:
    found = head_of(write(tmp_path / "a.gguf", (), (place("w", (8, 2)), place("v", (8,), offset=64)))).places
    assert found["w"].shape == (2, 8)
    assert found["w"].offset % 32 == 0
    assert found["v"].offset == found["w"].offset + 64


ENTRIES: dict[str, tuple[bytes, str]] = {
    "a string beyond the end": (text("k") + struct.pack("<IQ", 8, 1 << 20), "k claims a string of 1,048,576 bytes"),
    "a string of 2^63 bytes": (text("k") + struct.pack("<IQ", 8, 1 << 63), "k claims a string"),
    "a key of 2^63 bytes": (struct.pack("<Q", 1 << 63), "the name of a key claims a string"),
    "an array beyond the end": (text("k") + struct.pack("<IIQ", 9, 4, 1 << 20), "k claims 1,048,576 numbers"),
    "an array of 2^63 strings": (text("k") + struct.pack("<IIQ", 9, 8, 1 << 63), "k claims .* strings"),
    "an array of arrays": (text("k") + struct.pack("<IIQ", 9, 9, 1), "k has the unknown type 9"),
    "an unknown type": (text("k") + struct.pack("<I", 13), "k has the unknown type 13"),
    "a text that is not UTF-8": (text("k") + struct.pack("<I", 8) + text(b"\xff"), "k is not UTF-8"),
    "a key twice": (string_entry("k", "v") * 2, "the key k is there twice"),
    "an alignment of 0": (text("general.alignment") + struct.pack("<II", 4, 0), "general.alignment is 0"),
    "an alignment of 48": (text("general.alignment") + struct.pack("<II", 4, 48), "general.alignment is 48"),
    "an alignment of text": (string_entry("general.alignment", "wide"), "general.alignment is 'wide'"),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_lying_metadata_is_refused(tmp_path: Path, case: str) -> None:
    entry, message = ENTRIES[case]
    entries = (entry, b"") if case == "a key twice" else (entry,)
    with pytest.raises(CheckpointError, match=message) as caught:
        head_of(write(tmp_path / "lying.gguf", entries))
    assert "lying.gguf" in caught.value.message


PLACES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "no dimension": ((place(shape=()),), "the tensor w has 0 dimensions"),
    "five dimensions": ((place(shape=(1,) * 5),), "the tensor w has 5 dimensions"),
    "a size of zero": ((place(shape=(4, 0)),), r"the tensor w has the shape \[0, 4\]"),
    "a size of 2^63": ((place(shape=(1 << 63,)),), "the tensor w has the shape"),
    "a huge product": ((place(shape=(1 << 40, 1 << 40)),), "the tensor w has the shape"),
    "an unaligned offset": ((place(offset=3),), "the tensor w lies at 3"),
    "an offset of 2^63": ((place(offset=1 << 63),), "the tensor w lies at"),
    "a name twice": ((place(), place()), "the tensor w is there twice"),
}


@pytest.mark.parametrize("case", PLACES)
def test_lying_tensor_places_are_refused(tmp_path: Path, case: str) -> None:
    places, message = PLACES[case]
    with pytest.raises(CheckpointError, match=message):
        head_of(write(tmp_path / "lying.gguf", (), places))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ((place("w", (32, 100)),), "the tensor w ends at byte"),
        ((place("v", (16,)), place("w", (8,), offset=32)), "the tensor w overlaps v"),
        ((place("w", (33,), kind=2),), "no multiple of 32, the block of Q4_0"),
        ((place("w", kind=99),), "the tensor w has the unknown ggml type 99"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, places: tuple[bytes, ...], message: str) -> None:
    path = write(tmp_path / "a.gguf", (string_entry("general.architecture", "llama"),), places)
    with pytest.raises((CheckpointError, UnsupportedError), match=message):
        open_gguf(path)


@pytest.mark.parametrize("counts", [(1 << 60, 0), (0, 1 << 60), (60_000, 0), (0, 60_000)])
def test_counts_beyond_the_file_are_refused_with_little_memory(tmp_path: Path, counts: tuple[int, int]) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, *counts))
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            head_of(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_sparse_file_that_claims_millions_of_strings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 100_000_000)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(2 << 30)
    with pytest.raises(CheckpointError, match="k claims 100,000,000 strings"):
        head_of(path)


def test_other_versions_and_byte_orders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="GGUF version 1"):
        head_of(write(tmp_path / "a.gguf", version=1))
    with pytest.raises(UnsupportedError, match="big-endian"):
        head_of(write(tmp_path / "a.gguf", version=3 << 24))


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGML" + bytes(100), bytes(4096)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a GGUF file"):
        head_of(tmp_path / "a.gguf")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot open"):
        open_gguf(tmp_path / "no.gguf")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=300), version=st.sampled_from([2, 3]))
def test_noise_behind_the_magic_never_escapes(tmp_path: Path, noise: bytes, version: int) -> None:
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", version) + noise)
    with pytest.raises((CheckpointError, UnsupportedError)):
        open_gguf(path)


def test_a_real_file_cut_anywhere_is_refused(golden_gguf: Convert, tmp_path: Path) -> None:
    whole = golden_gguf("llama_gqa").read_bytes()
    path = tmp_path / "cut.gguf"
    for cut in sorted({*range(0, 4000, 197), len(whole) // 2, len(whole) - 1000}):
        path.write_bytes(whole[:cut])
        with pytest.raises(CheckpointError, match="cut"):
            open_gguf(path)


def test_a_real_file_with_flipped_bytes_never_escapes(golden_gguf: Convert, tmp_path: Path) -> None:
    whole = bytearray(golden_gguf("llama_gqa").read_bytes())
    path, random = tmp_path / "flipped.gguf", np.random.default_rng(0)
    for _ in range(60):
        flipped = whole.copy()
        for at in random.integers(0, 2500, 3):
            flipped[at] = random.integers(256)
        path.write_bytes(flipped)
        with contextlib.suppress(CheckpointError, UnsupportedError), open_gguf(path) as checkpoint:
            for rows in checkpoint.tensors.values():
                rows.all()

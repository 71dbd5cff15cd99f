from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import gguf.quants
import numpy as np
import pytest

from edgekit_exporters.checkpoints.files import PositionedFile
from edgekit_exporters.checkpoints.gguf_blocks import ENCODINGS
from edgekit_exporters.checkpoints.gguf_metadata import TensorPlace
from edgekit_exporters.checkpoints.gguf_tensors import GgufRows
from edgekit_exporters.quantization import Encoding, decode
from edgekit_exporters.weights import Array, Flat, Map, Rows, Slice, Stack, Stored, Take, Transpose

Open = Callable[..., GgufRows]

KINDS = [kind.name for kind in gguf.quants._type_traits]
"""Every type that the package dequantizes, beside F16 and F32."""
FLOATS = {"BF16"}
# Where the scales of a block lie in its bytes, as float16 (ggml-common.h); elsewhere any byte is a valid one.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "TQ1_0": [52], "TQ2_0": [64], "IQ2_XXS": [0], "IQ2_XS": [0],
    "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0], "IQ4_NL": [0], "IQ4_XS": [0],
}  # fmt: skip


@pytest.fixture
def open_rows(tmp_path: Path) -> Iterator[Open]:
    """A tensor of random blocks [rows, blocks of a row], with scales that are numbers."""
    files: list[PositionedFile] = []

    def make(kind: str, rows: int = 12, blocks: int = 3) -> GgufRows:
        number = gguf.GGMLQuantizationType[kind]
        size, width = gguf.GGML_QUANT_SIZES[number]
        random = np.random.default_rng(len(kind) + rows)
        raw = random.integers(0, 256, (rows * blocks, width), np.uint8)
        for at in SCALES.get(kind, ()):
            raw[:, at : at + 2] = random.normal(0, 0.02, len(raw)).astype("<f2").view(np.uint8).reshape(-1, 2)
        if kind in ("BF16", "F16", "F32"):
            raw[:, -1] &= 0x3F  # Neither infinite nor too large.
        if kind == "IQ1_M":
            raw[:, 49::2] &= 0x3F  # Its scale is spread over four halves: keep the exponent low.
        if kind in ("MXFP4", "NVFP4"):
            raw[:, : (1 if kind == "MXFP4" else 4)] = 120
        path = tmp_path / f"{kind}-{rows}.bin"
        path.write_bytes(b"head" + raw.tobytes())
        files.append(PositionedFile(path))
        return GgufRows(files[-1], "blk.0.w", TensorPlace((rows, blocks * size), number.value, 4))

    yield make
    for file in files:
        file.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_is_read_by_rows_as_the_package_dequantizes_it(open_rows: Open, kind: str) -> None:
    rows = open_rows(kind)
    raw = np.frombuffer(rows.file.path.read_bytes()[4:], np.uint8).reshape(12, -1)
    whole = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])
    assert np.ptp(whole) > 0
    np.testing.assert_array_equal(rows.all(), whole)
    np.testing.assert_array_equal(rows.read(3, 7), whole[3:7])
    assert rows.read(5, 5).shape == (0, rows.shape[1])
    assert (rows.stored.bits >= 16) == (kind in FLOATS)


@pytest.mark.parametrize(("kind", "bits"), [("F16", 16), ("F32", 32)])
def test_plain_floats(open_rows: Open, kind: str, bits: int) -> None:
    rows = open_rows(kind, rows=4, blocks=6)
    values = np.frombuffer(rows.file.path.read_bytes()[4:], {16: "<f2", 32: "<f4"}[bits]).reshape(4, 6)
    np.testing.assert_array_equal(rows.read(1, 3), values[1:3].astype(np.float32))
    assert rows.stored == Stored(bits)


def by_hand(kind: str, block: bytes) -> list[float]:
    """Dequantize one block as ggml's C code does, number by number."""
    scale = float(np.frombuffer(block[:2], "<f2")[0])
    if kind == "Q8_0":
        return [scale * value for value in np.frombuffer(block[2:], np.int8).tolist()]
    low, high = [byte & 15 for byte in block[-16:]], [byte >> 4 for byte in block[-16:]]
    if kind == "Q4_0":
        return [scale * (value - 8) for value in low + high]
    fifth = int.from_bytes(block[2:6], "little")
    return [scale * ((value | (fifth >> at & 1) << 4) - 16) for at, value in enumerate(low + high)]


@pytest.mark.parametrize("kind", ENCODINGS)
@pytest.mark.parametrize("block", [32, 16])
@pytest.mark.parametrize("zero_point", [False, True])
def test_blocks_are_given_in_an_encoding(open_rows: Open, kind: str, block: int, zero_point: bool) -> None:
    rows, bits = open_rows(kind), ENCODINGS[kind].bits
    encoded = rows.encoded(Encoding(bits, block, zero_point), 2, 9)
    assert encoded is not None
    assert encoded.values.dtype == (np.uint8 if zero_point else np.int8)
    assert (encoded.zero_points is not None) == zero_point
    np.testing.assert_array_equal(decode(encoded, 96), rows.read(2, 9))
    wanted = by_hand(kind, rows.read_raw(2, 3)[0, : rows.block_bytes].tobytes())
    np.testing.assert_array_equal(decode(encoded, 96)[0, :32], np.array(wanted, np.float32))


@pytest.mark.parametrize("kind", ENCODINGS)
def test_encodings_that_cannot_hold_them(open_rows: Open, kind: str) -> None:
    rows, own = open_rows(kind), ENCODINGS[kind]
    others = [Encoding(32), Encoding(16), Encoding(12 - own.bits, 32), Encoding(own.bits), Encoding(own.bits, 64)]
    for encoding in [*others, Encoding(own.bits, 32, plain_scales=True)]:
        assert rows.encoded(encoding, 0, 4) is None


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(ENCODINGS)))
def test_types_that_no_encoding_holds(open_rows: Open, kind: str) -> None:
    rows = open_rows(kind)
    assert rows.stored.encoding is None
    assert rows.encoded(Encoding(4, 32), 0, 4) is None
    assert rows.encoded(Encoding(8, 32), 0, 4) is None


def compositions(rows: GgufRows, other: GgufRows) -> dict[str, Rows]:
    order = np.array([5, 0, 11, 3, 3, 7], np.int64)
    return {
        "slice": Slice(rows, 2, 11),
        "take": Take(rows, order),
        "stack": Stack([rows, other]),
        "all": Slice(Stack([Take(rows, order), Slice(other, 1, 5)]), 1, 9),
    }


@pytest.mark.parametrize("kind", ENCODINGS)
def test_rows_in_another_order_keep_their_blocks(open_rows: Open, kind: str) -> None:
    for name, rows in compositions(open_rows(kind), open_rows(kind, 7)).items():
        assert rows.stored == Stored(open_rows(kind).stored.bits, ENCODINGS[kind]), name
        encoded = rows.encoded(ENCODINGS[kind], 1, 8 if name != "take" else 5)
        assert encoded is not None
        np.testing.assert_array_equal(decode(encoded, 96), rows.read(1, 8 if name != "take" else 5))


def test_changed_values_do_not(open_rows: Open) -> None:
    rows = open_rows("Q8_0")
    for changed in (Transpose(rows), Map(rows, lambda values: values + 1), Flat(rows), Array(rows.all())):
        assert changed.stored.encoding is None
        assert changed.encoded(Encoding(8, 32), 0, 2) is None
    assert Map(rows, lambda values: values).stored.bits == rows.stored.bits


def test_a_stack_of_different_types_is_in_no_encoding(open_rows: Open) -> None:
    stack = Stack([open_rows("Q4_0"), open_rows("Q8_0")])
    assert stack.stored == Stored(8.5)
    assert stack.encoded(Encoding(8, 32), 10, 14) is None

"""Quantization of row blocks, in numpy: which precision a weight gets, and how its values are rounded.

A weight [out, in] is cut along its rows into blocks; each has a scale and perhaps a zero point:
`w ≈ (value - zero_point) * scale`. Formats pack what comes out; none rounds by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgekit.errors import UsageError
from edgekit_exporters.weights import Float32

Quantization = Literal["int4", "int8", "none"]
MODES: tuple[Quantization, ...] = ("int4", "int8", "none")

AUTO_INT4_PARAMETERS = 500_000_000
"""`auto` is int8 below: small models lose too much at 4 bits (SmolLM2-135M keeps 69 % of its top-1 against 92 %)."""

SEARCH_RATIOS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)
"""Shrinkings of a block's range that the int4 search tries: cutting off outliers often rounds the rest better."""

STRETCH_RATIOS = (8 / 7, 15 / 14)
"""Where -8 is on one side only, values on the other side as large as the largest want a wider range."""

CHUNK = 1 << 16
"""Elements quantized at once: temporaries stay in the second-level cache, which makes the search twice as fast."""


@dataclass(frozen=True)
class Encoding:
    """How a weight is stored."""

    bits: int = 32
    """32 (float32), 16 (float16), 8 or 4."""
    block: int | None = None
    """Elements of a row that share a scale; None: the whole row."""
    zero_point: bool = False
    """Unsigned values around a zero point; without it, signed ones around 0."""
    plain_scales: bool = False
    """Scales are positive and exact in bfloat16 and float16 alike (XNNPACK's blocks); signed values only."""

    @property
    def quantized(self) -> bool:
        """Whether values are integers."""
        return self.bits <= 8

    def blocks(self, columns: int) -> int:
        """Return the number of blocks in a row; the last may be filled up with zeros."""
        return 1 if self.block is None else -(-columns // self.block)

    def padded(self, columns: int) -> int:
        """Return the length of a row of values, blocks filled up."""
        return columns if self.block is None else self.blocks(columns) * self.block

    def __str__(self) -> str:
        if not self.quantized:
            return f"float{self.bits}"
        return f"int{self.bits} {'per row' if self.block is None else f'block {self.block}'}" + (
            " with zero points" if self.zero_point else " symmetric"
        )


@dataclass(frozen=True)
class Encoded:
    """Some rows of a weight, quantized: values [rows, padded columns], scales (and zero points) [rows, blocks].

    Values are uint8 with zero points and int8 without; float encodings have values alone.
    """

    values: npt.NDArray[np.generic]
    scales: Float32 | None = None
    zero_points: npt.NDArray[np.uint8] | None = None


def choose(mode: str, parameters: int) -> Quantization:
    """Return the quantization that an option names; `auto` decides by the number of parameters."""
    if mode == "auto":
        return "int8" if parameters < AUTO_INT4_PARAMETERS else "int4"
    for known in MODES:
        if mode == known:
            return known
    raise UsageError(f"unknown quantization {mode!r}", f"choose one of: auto, {', '.join(MODES)}")


def precision(name: str, shape: Sequence[int], mode: Quantization) -> Quantization:
    """Return the precision of one weight: vectors and positions stay float, the embedding and the head int8."""
    if mode == "none" or len(shape) < 2 or name == "positions.weight":
        return "none"
    return "int8" if name in ("embed.weight", "head.weight") else mode


def encode(rows: Float32, encoding: Encoding) -> Encoded:
    """Return float32 rows [n, columns] in an encoding."""
    if encoding.bits == 32:
        return Encoded(rows)
    if encoding.bits == 16:
        return Encoded(rows.astype(np.float16))
    count, columns = rows.shape
    padded, blocks = encoding.padded(columns), encoding.blocks(columns)
    width = encoding.block or columns
    if padded != columns:
        rows = np.pad(rows, ((0, 0), (0, padded - columns)))
    flat = rows.reshape(-1, width)
    values = np.empty(flat.shape, np.uint8 if encoding.zero_point else np.int8)
    scales = np.empty(len(flat), np.float32)
    zero_points = np.zeros(len(flat), np.uint8)
    step = max(1, CHUNK // width)
    for start in range(0, len(flat), step):
        part = slice(start, start + step)
        if encoding.zero_point:
            values[part], scales[part], zero_points[part] = _asymmetric(flat[part], encoding.bits)
        else:
            values[part], scales[part] = _symmetric(flat[part], encoding)
    return Encoded(
        values.reshape(count, padded),
        scales.reshape(count, blocks),
        zero_points.reshape(count, blocks) if encoding.zero_point else None,
    )


def decode(encoded: Encoded, columns: int) -> Float32:
    """Return float32 rows [n, columns] of encoded ones."""
    if encoded.scales is None:
        return encoded.values.astype(np.float32)
    count, blocks = encoded.scales.shape
    values = encoded.values.reshape(count, blocks, -1).astype(np.float32)
    if encoded.zero_points is not None:
        values -= encoded.zero_points[:, :, None].astype(np.float32)
    values *= encoded.scales[:, :, None]
    return values.reshape(count, -1)[:, :columns]


def _asymmetric(blocks: Float32, bits: int) -> tuple[npt.NDArray[np.uint8], Float32, npt.NDArray[np.uint8]]:
    """Quantize blocks [n, width] to unsigned values around a zero point within their range."""
    top = np.float32(2**bits - 1)
    low = np.minimum(blocks.min(axis=1), 0)
    high = np.maximum(blocks.max(axis=1), 0)
    best: _Best | None = None
    for ratio in SEARCH_RATIOS if bits == 4 else (1.0,):
        scale = _positive((high - low) * np.float32(ratio) / top)
        zero = np.clip(np.rint(-low * np.float32(ratio) / scale), 0, top)
        levels = np.rint(blocks / scale[:, None])
        np.clip(levels, -zero[:, None], (top - zero)[:, None], out=levels)
        best = _Best.of(best, blocks, levels, scale, zero)
    assert best is not None
    return (best.levels + best.zero[:, None]).astype(np.uint8), best.scale, best.zero.astype(np.uint8)


def _symmetric(blocks: Float32, encoding: Encoding) -> tuple[npt.NDArray[np.int8], Float32]:
    """Quantize blocks [n, width] to signed values around 0.

    At 4 bits the largest value by magnitude takes the level -8, which the positive side does not have, as in
    llama.cpp's Q4_0; where scales are positive it takes -8 or 7 by its sign. At 8 bits the range is -127..127.
    """
    bits = encoding.bits
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)[:, 0]
    low, high = (np.float32(-8), np.float32(7)) if bits == 4 else (np.float32(-127), np.float32(127))
    ratios: Sequence[float] = (1.0,)
    if bits == 4:
        whole = largest / (np.where(largest > 0, high, low) if encoding.plain_scales else low)
        ratios = (*STRETCH_RATIOS, *SEARCH_RATIOS) if encoding.plain_scales else SEARCH_RATIOS
    else:
        whole = np.abs(largest) / high
    best: _Best | None = None
    for ratio in ratios:
        scale = whole * np.float32(ratio)
        scale = np.where(scale == 0, np.float32(1), scale)
        levels = np.rint(blocks / scale[:, None])
        np.clip(levels, low, high, out=levels)
        best = _Best.of(best, blocks, levels, scale, np.zeros_like(scale))
    assert best is not None
    return best.levels.astype(np.int8), _plain(best.scale) if encoding.plain_scales else best.scale


def _plain(scales: Float32) -> Float32:
    """Return positive scales rounded to 8 significant bits, none so small that float16 would lose some of them."""
    bits = np.maximum(scales, np.float32(2.0**-17)).view(np.uint32)
    rounded: Float32 = ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
    return rounded


@dataclass
class _Best:
    """The best rounding so far of each block: levels (before the zero point is added), scale, zero point, error."""

    levels: Float32
    scale: Float32
    zero: Float32
    error: Float32

    @staticmethod
    def of(best: _Best | None, blocks: Float32, levels: Float32, scale: Float32, zero: Float32) -> _Best:
        """Return the better of `best` and a new rounding, whose scale is refitted to its levels by least squares."""
        product = np.einsum("ij,ij->i", blocks, levels)
        square = np.einsum("ij,ij->i", levels, levels)
        scale = np.where(square > 0, product / np.maximum(square, 1e-30), scale).astype(np.float32)
        # |w - s l|² = |w|² - s (2 w·l - s l²), and |w|² is the same for every rounding.
        error = -scale * (2 * product - scale * square)
        if best is None:
            return _Best(levels, scale, zero, error)
        better = error < best.error
        best.levels[better] = levels[better]
        best.scale = np.where(better, scale, best.scale)
        best.zero = np.where(better, zero, best.zero)
        best.error = np.where(better, error, best.error)
        return best


def _positive(scale: Float32) -> Float32:
    return np.where(scale > 0, scale, np.float32(1))

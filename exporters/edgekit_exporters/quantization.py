"""Quantization of row blocks, in numpy: which precision a weight gets, and how its values are rounded.

A weight [out, in] is cut along its rows into blocks; each has a scale and perhaps a zero point:
`w ≈ (value - zero_point) * scale`. Formats pack what comes out; none rounds by itself.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgekit.errors import UsageError
from edgekit_exporters.rounding import round_asymmetric, round_symmetric
from edgekit_exporters.weights import Float32, Stored

Quantization = Literal["int4", "int8", "none"]
"""The precision of one weight."""
Mode = Literal["int4", "int8", "none", "keep"]
"""What a whole model is quantized to; `keep` gives each weight what its source has."""
MODES: tuple[Mode, ...] = ("int4", "int8", "none", "keep")

AUTO_INT4_PARAMETERS = 500_000_000
"""`auto` is int8 below: small models lose too much at 4 bits (SmolLM2-135M keeps 69 % of its top-1 against 92 %)."""

SENSITIVE_BELOW_PARAMETERS = 1_000_000_000
"""Smaller models keep at 8 bits what hurts most at 4: keys, values, the first and the last layer. On SmolLM2-135M,
12 % of the linear weights halve the loss (perplexity +14 % to +6.5 %). Larger models have redundancy to spare."""

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
    narrow: bool = False
    """Signed 8-bit values keep within -63..63: with 8-bit inputs, two products then fit 16 bits, where x86 CPUs
    without VNNI would otherwise cut them off."""

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
        return (
            f"int{self.bits} {'per row' if self.block is None else f'block {self.block}'}"
            + (" with zero points" if self.zero_point else " symmetric")
            + (" within -63..63" if self.narrow else "")
        )


@dataclass(frozen=True)
class Encoded:
    """Some rows of a weight, quantized: values [rows, padded columns], scales (and zero points) [rows, blocks].

    Values are uint8 with zero points and int8 without; float encodings have values alone.
    """

    values: npt.NDArray[np.generic]
    scales: Float32 | None = None
    zero_points: npt.NDArray[np.uint8] | None = None

    def take(self, order: npt.NDArray[np.int64]) -> Encoded:
        """Return rows in another order."""
        arrays = (self.values, self.scales, self.zero_points)
        return Encoded(*(None if array is None else array[order] for array in arrays))  # type: ignore[arg-type]

    def then(self, other: Encoded) -> Encoded:
        """Return these rows and those of `other`, in the same encoding, behind them."""
        pairs = ((self.values, other.values), (self.scales, other.scales), (self.zero_points, other.zero_points))
        return Encoded(*(None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs))  # type: ignore[arg-type]


def choose(mode: str, parameters: int) -> Mode:
    """Return the quantization that an option names; `auto` decides by the number of parameters."""
    if mode == "auto":
        return "int8" if parameters < AUTO_INT4_PARAMETERS else "int4"
    for known in MODES:
        if mode == known:
            return known
    raise UsageError(f"unknown quantization {mode!r}", f"choose one of: auto, {', '.join(MODES)}")


def precision(name: str, shape: Sequence[int], mode: Quantization, sensitive: Container[str] = ()) -> Quantization:
    """Return the precision of one weight: vectors and small tables stay float, the embedding and the head int8."""
    if mode == "none" or len(shape) < 2 or _stays_float(name):
        return "none"
    return "int8" if name in ("embed.weight", "head.weight") or name in sensitive else mode


def stored_precision(name: str, shape: Sequence[int], stored: Stored) -> Quantization:
    """Return the precision that is nearest to what the source has, for weights that cannot be carried over as they are.

    Up to five bits (Q4_K, Q4_1) become int4, more become int8, and floats stay floats. The embedding and the head,
    where 4 bits hurt most, are never less than int8.
    """
    if len(shape) < 2 or _stays_float(name) or stored.bits >= 16:
        return "none"
    return "int8" if name in ("embed.weight", "head.weight") or stored.bits > 5 else "int4"


def _stays_float(name: str) -> bool:
    """Whether a matrix is too small to be worth a loss: tables of positions, and an encoder's classifier."""
    return name in ("positions.weight", "relative_bias.weight") or name.startswith("classifier.")


def sensitive_weights(names: Iterable[str], layers: int, parameters: int) -> frozenset[str]:
    """Return the weights that stay at 8 bits when a model of this size is quantized to int4."""
    if parameters >= SENSITIVE_BELOW_PARAMETERS:
        return frozenset()
    ends = ("layers.0.", f"layers.{layers - 1}.")
    return frozenset(n for n in names if n.startswith(ends) or n.endswith(("attention.k.weight", "attention.v.weight")))


def encode(rows: Float32, encoding: Encoding, importance: Float32 | None = None) -> Encoded:
    """Return float32 rows [n, columns] in an encoding; `importance` [columns] says where errors count."""
    if encoding.bits == 32:
        return Encoded(rows)
    if encoding.bits == 16:
        return Encoded(rows.astype(np.float16))
    count, columns = rows.shape
    padded, blocks = encoding.padded(columns), encoding.blocks(columns)
    width = encoding.block or columns
    if padded != columns:
        rows = np.pad(rows, ((0, 0), (0, padded - columns)))
    weights = None if importance is None else _tiled(importance, padded, width)
    flat = rows.reshape(-1, width)
    values = np.empty(flat.shape, np.uint8 if encoding.zero_point else np.int8)
    scales = np.empty(len(flat), np.float32)
    zero_points = np.zeros(len(flat), np.uint8)
    # A chunk begins at the first block of a row, so that the importance of the blocks repeats from there.
    step = max(1, CHUNK // padded) * blocks
    for start in range(0, len(flat), step):
        part = slice(start, start + step)
        chunk = flat[part]
        counts = None if weights is None else np.tile(weights, (len(chunk) // blocks, 1))
        if encoding.zero_point:
            values[part], scales[part], zero_points[part] = round_asymmetric(chunk, encoding.bits, counts)
        else:
            values[part], scales[part] = round_symmetric(
                chunk, 7 if encoding.narrow else encoding.bits, counts, plain_scales=encoding.plain_scales
            )
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
    padded = encoded.values.shape[1]
    values = encoded.values.reshape(count, blocks, padded // blocks).astype(np.float32)
    if encoded.zero_points is not None:
        values -= encoded.zero_points[:, :, None].astype(np.float32)
    values *= encoded.scales[:, :, None]
    return values.reshape(count, padded)[:, :columns]


def _tiled(importance: Float32, padded: int, width: int) -> Float32:
    """Return importance [blocks of a row, width], with a floor: no column is free to be arbitrarily wrong."""
    floor = np.float32(1e-3) * importance.mean() + np.float32(1e-20)
    filled = np.pad(np.maximum(importance, floor), (0, padded - len(importance)), constant_values=floor)
    out: Float32 = filled.reshape(-1, width).astype(np.float32)
    return out

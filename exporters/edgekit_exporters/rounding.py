"""Rounding blocks of weights to a few levels: scales, zero points, and the search for the best of them.

An error counts by its column's importance: the mean square of what the column is multiplied with (see
`calibration.py`). The sum of these weighted squares is the expected square error of the layer's result.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from edgekit_exporters.weights import Float32

SEARCH_RATIOS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)
"""Shrinkings of a block's range that the int4 search tries: cutting off outliers often rounds the rest better."""

STRETCH_RATIOS = (8 / 7, 15 / 14)
"""Where -8 is on one side only, values on the other side as large as the largest want a wider range."""

WHOLE = (1.0,)
"""At 8 bits there is nothing to gain by cutting off."""


def round_asymmetric(
    blocks: Float32, bits: int, importance: Float32 | None = None
) -> tuple[npt.NDArray[np.uint8], Float32, npt.NDArray[np.uint8]]:
    """Round blocks [n, width] to unsigned values around a zero point within their range.

    Returns:
        Values uint8 [n, width], scales float32 [n], zero points uint8 [n].
    """
    top = np.float32(2**bits - 1)
    low, high = np.minimum(blocks.min(axis=1), 0), np.maximum(blocks.max(axis=1), 0)
    whole = (high - low) / top
    whole[whole <= 0] = 1
    zeros = np.clip(np.rint(-low / whole), 0, top)
    candidates = ((whole * np.float32(ratio), -zeros, top - zeros) for ratio in (SEARCH_RATIOS if bits == 4 else WHOLE))
    levels, scales = _best(blocks, candidates, importance)
    return (levels + zeros[:, None]).astype(np.uint8), scales, zeros.astype(np.uint8)


def round_symmetric(
    blocks: Float32, bits: int, importance: Float32 | None = None, *, plain_scales: bool = False
) -> tuple[npt.NDArray[np.int8], Float32]:
    """Round blocks [n, width] to signed values around 0.

    At 4 bits the largest value by magnitude takes the level -8, which the positive side does not have, as in
    llama.cpp's Q4_0; with `plain_scales`, which are positive, it takes -8 or 7 by its sign. At 8 bits the range is
    -127..127, at 7 bits -63..63.

    Returns:
        Values int8 [n, width], scales float32 [n].
    """
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)[:, 0]
    low, high = (
        (np.float32(-8), np.float32(7))
        if bits == 4
        else (np.float32(1 - 2 ** (bits - 1)), np.float32(2 ** (bits - 1) - 1))
    )
    ratios: Iterable[float] = WHOLE
    if bits > 4:
        whole = np.abs(largest) / high
    elif plain_scales:
        whole, ratios = largest / np.where(largest > 0, high, low), (*STRETCH_RATIOS, *SEARCH_RATIOS)
    else:
        whole, ratios = largest / low, SEARCH_RATIOS
    whole[whole == 0] = 1
    candidates = ((whole * np.float32(ratio), low, high) for ratio in ratios)
    levels, scales = _best(blocks, candidates, importance)
    return levels.astype(np.int8), _plain(scales) if plain_scales else scales


def _best(
    blocks: Float32,
    candidates: Iterable[tuple[Float32, Float32 | np.float32, Float32 | np.float32]],
    importance: Float32 | None,
) -> tuple[Float32, Float32]:
    """Return the best levels [n, width] and scales [n] over candidates (scale, lowest level, highest level).

    Each candidate's scale is refitted to its levels by least squares before it is judged.
    """
    weighted = blocks if importance is None else blocks * importance
    best_levels, best_scale, best_error = None, None, None
    levels = np.empty_like(blocks)
    for scale, low, high in candidates:
        np.multiply(blocks, (1 / scale)[:, None], out=levels)
        np.rint(levels, out=levels)
        np.clip(levels, _column(low), _column(high), out=levels)
        product = np.einsum("ij,ij->i", weighted, levels)
        scaled = levels if importance is None else levels * importance
        square = np.einsum("ij,ij->i", scaled, levels)
        scale = np.where(square > 0, product / np.maximum(square, 1e-30), scale).astype(np.float32)
        # |w - s l|² = |w|² - s (2 w·l - s l²), and |w|² is the same for every rounding.
        error = -scale * (2 * product - scale * square)
        if best_levels is None or best_scale is None or best_error is None:
            best_levels, best_scale, best_error = levels.copy(), scale, error
            continue
        better = error < best_error
        np.copyto(best_levels, levels, where=better[:, None])
        np.copyto(best_scale, scale, where=better)
        np.copyto(best_error, error, where=better)
    assert best_levels is not None
    assert best_scale is not None
    return best_levels, best_scale


def _column(bound: Float32 | np.float32) -> Float32 | np.float32:
    return bound[:, None] if isinstance(bound, np.ndarray) else bound


def _plain(scales: Float32) -> Float32:
    """Return positive scales rounded to 8 significant bits, none so small that float16 would lose some of them."""
    bits = np.maximum(scales, np.float32(2.0**-17)).view(np.uint32)
    rounded: Float32 = ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
    return rounded

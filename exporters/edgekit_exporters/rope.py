"""Rotary position embeddings from a config, in the hub's older keys and in transformers 5's.

Older: `rope_theta` and `rope_scaling`; newer: `rope_parameters`, which holds both. The formulas are those of
transformers' modeling_rope_utils.py (default, linear, llama3, longrope, yarn).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit.spec import Rope
from edgekit_exporters.config import Config

Float64 = npt.NDArray[np.float64]

_SCALING_KEYS: dict[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "longrope": ("factor", "short_factor", "long_factor", "attention_factor"),
    "yarn": ("factor", "beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim", "truncate"),
}
_SCALING_KEYS["su"] = _SCALING_KEYS["longrope"]
_COMMON_KEYS = ("rope_theta", "rope_type", "type", "partial_rotary_factor", "original_max_position_embeddings")
# `finetuned` is a note of YaRN's authors that nothing computes with.
_HARMLESS_KEYS = ("finetuned",)


def read_rope(
    config: Config,
    head_dim: int,
    context: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    partial: bool = False,
) -> Rope:
    """Return the rope of a config.

    Args:
        config: It is read from.
        head_dim: Elements of a head.
        context: The model's longest sequence.
        parameters: In place of those that the config has, where there are several sets (Gemma 3).
        partial: The architecture can rotate a part of each head, and brings its rows into order (`pair_heads`).

    Raises:
        UnsupportedError: a kind of scaling, or a part of each head, that is not handled.
        CheckpointError: parameters that are missing or do not fit the head.
    """
    given = rope_parameters(config) if parameters is None else parameters
    values = {"rope_theta": config.get("rope_theta", 10000.0), **given}
    rotary_dim = rotary_size(config, head_dim, given)
    if rotary_dim != head_dim and not partial:
        raise UnsupportedError(
            f"config.json: {rotary_dim} of a head's {head_dim} elements are rotated, which is not handled for "
            f"{config.values.get('model_type')}",
            "open an issue with the model's name",
        )
    original = config.get("original_max_position_embeddings")
    if original is not None:
        values.setdefault("original_max_position_embeddings", original)
    return make_rope(values, head_dim, rotary_dim, context)


def rope_parameters(config: Config, layer_type: str | None = None) -> Mapping[str, Any]:
    """Return `rope_parameters`, or `rope_scaling` in its place, or what they hold for one type of layers."""
    parameters = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if isinstance(parameters, Mapping) and layer_type is not None and layer_type in parameters:
        parameters = parameters[layer_type]
    if not isinstance(parameters, Mapping):
        raise CheckpointError(f"config.json: the rope parameters are {parameters!r:.200}, not an object")
    return parameters


def rotary_size(config: Config, head_dim: int, parameters: Mapping[str, Any] | None = None) -> int:
    """Return how many elements of a head are rotated: head_dim, or its `partial_rotary_factor`."""
    outside = config.get("partial_rotary_factor", 1.0)
    inside = (rope_parameters(config) if parameters is None else parameters).get("partial_rotary_factor")
    factor = outside if inside is None else inside
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor <= 1:
        raise CheckpointError(f"config.json: partial_rotary_factor is {factor!r:.200}, not within 0 and 1")
    size = int(head_dim * factor)
    if not 0 < size <= head_dim or size % 2 or head_dim % 2:
        raise CheckpointError(f"config.json: {factor!r} of a head of {head_dim} elements cannot be rotated in pairs")
    return size


def make_rope(values: Mapping[str, Any], head_dim: int, rotary_dim: int, context: int) -> Rope:
    """Return the rope for parameters in transformers 5's form."""
    theta = _number(values, "rope_theta")
    base = theta ** -(np.arange(0, rotary_dim, 2, dtype=np.float64) / rotary_dim)
    kind = values.get("rope_type", values.get("type", "default"))
    if not isinstance(kind, str) or kind not in _SCALING_KEYS:
        raise UnsupportedError(
            f"config.json: rope type {kind!r} is not supported", f"supported: {', '.join(_SCALING_KEYS)}"
        )
    _check_keys(kind, values)
    if kind == "default":
        return Rope(frequencies=_full(base, head_dim))
    if kind == "linear":
        return Rope(frequencies=_full(base / _number(values, "factor"), head_dim))
    if kind == "llama3":
        return Rope(frequencies=_full(_llama3(base, values), head_dim))
    if kind in ("longrope", "su"):
        return _longrope(base, values, head_dim, context)
    return _yarn(base, values, head_dim, rotary_dim, theta, context)


def rotary_order(heads: int, head_dim: int, rotary_dim: int, *, interleaved: bool = False) -> npt.NDArray[np.int64]:
    """Return the order of a projection's rows that brings its rotated pairs to (i, i + head_dim / 2).

    A checkpoint's pairs are (i, i + rotary_dim / 2) within the first `rotary_dim` elements of a head, or (2i, 2i + 1)
    where `interleaved`; the elements behind them are not rotated.
    """
    rotated = np.arange(rotary_dim).reshape((-1, 2) if interleaved else (2, -1))
    first, second = (rotated[:, 0], rotated[:, 1]) if interleaved else rotated
    rest = np.arange(rotary_dim, head_dim).reshape(2, -1)
    head = np.concatenate([first, rest[0], second, rest[1]])
    return (np.arange(heads)[:, None] * head_dim + head[None, :]).reshape(-1).astype(np.int64)


def _check_keys(kind: str, values: Mapping[str, Any]) -> None:
    """Refuse parameters that this kind of scaling would silently ignore."""
    known = (*_SCALING_KEYS[kind], *_COMMON_KEYS, *_HARMLESS_KEYS)
    for key, value in values.items():
        # A factor of 1 stretches nothing, whatever the kind.
        if key not in known and value is not None and not (key == "factor" and value == 1):
            raise UnsupportedError(
                f"config.json: the rope's {key} = {value!r} is not handled for the rope type {kind!r}",
                "open an issue with the model's name",
            )


def _llama3(base: Float64, values: Mapping[str, Any]) -> Float64:
    """Llama 3.1: long wavelengths divided by `factor`, short ones kept, a smooth band between."""
    factor, low, high = (_number(values, key) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    original = _number(values, "original_max_position_embeddings")
    wavelength = 2 * math.pi / base
    smooth = np.clip((original / wavelength - low) / (high - low), 0.0, 1.0)
    blended: Float64 = (1 - smooth) * base / factor + smooth * base
    return blended


def _longrope(base: Float64, values: Mapping[str, Any], head_dim: int, context: int) -> Rope:
    original = int(_number(values, "original_max_position_embeddings", least=2))
    stretch = context / original
    if values.get("attention_factor") is not None:
        factor = _number(values, "attention_factor")
    else:
        factor = 1.0 if stretch <= 1 else math.sqrt(1 + math.log(stretch) / math.log(original))
    sets = []
    for key in ("short_factor", "long_factor"):
        found = values.get(key)
        try:
            factors = np.asarray(found, dtype=np.float64)
        except (TypeError, ValueError):
            factors = np.zeros(0)
        if factors.shape != base.shape or not ((factors > 0) & np.isfinite(factors)).all():
            raise CheckpointError(f"config.json: {key} should hold {base.size} positive factors, not {found!r:.200}")
        sets.append(_full(base / factors, head_dim))
    return Rope(frequencies=sets[0], long_frequencies=sets[1], border=original, scale=factor)


def _yarn(base: Float64, values: Mapping[str, Any], head_dim: int, rotary_dim: int, theta: float, context: int) -> Rope:
    """YaRN (Peng et al., 2023, arXiv 2309.00071), as transformers computes it."""
    original = _number(values, "original_max_position_embeddings", context)
    factor = _number(values, "factor", context / original)

    def scaling(mscale: float) -> float:
        return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0

    if values.get("attention_factor") is not None:
        attention = _number(values, "attention_factor")
    elif values.get("mscale") and values.get("mscale_all_dim"):
        attention = scaling(_number(values, "mscale")) / scaling(_number(values, "mscale_all_dim"))
    else:
        attention = scaling(1.0)

    def dimension(rotations: float) -> float:
        return rotary_dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low, high = dimension(_number(values, "beta_fast", 32)), dimension(_number(values, "beta_slow", 1))
    if values.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rotary_dim - 1)
    ramp = np.clip((np.arange(base.size) - low) / max(high - low, 0.001), 0, 1)
    return Rope(frequencies=_full(base / factor * ramp + base * (1 - ramp), head_dim), scale=attention)


def _full(frequencies: Float64, head_dim: int) -> tuple[float, ...]:
    """Return float32 frequencies of all pairs of a head, 0 for those that are not rotated."""
    padded = np.zeros(head_dim // 2, np.float32)
    padded[: frequencies.size] = frequencies
    return tuple(padded.tolist())


def _number(values: Mapping[str, Any], key: str, default: float | None = None, *, least: float = 0.0) -> float:
    """Return a finite number above 0 and of at least `least`; null is as good as absent."""
    value = values.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e18 or value < least:
        raise CheckpointError(f"config.json: the rope's {key} is {value!r:.200}, not a positive number")
    return float(value)

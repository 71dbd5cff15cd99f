"""Rebuilds the rope's part of config.json from GGUF: keys below `rope.`, and factors that are stored as tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints.gguf_values import number, positive, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit_exporters.checkpoints.gguf_architecture import GgufArchitecture
    from edgekit_exporters.checkpoints.gguf_tensors import GgufRows

Float64 = npt.NDArray[np.float64]

DEFAULT_THETA = 10000.0
"""What llama.cpp takes where `rope.freq_base` is missing."""
_KNOWN = {
    "freq_base", "dimension_count", "scale_linear", "scaling.type", "scaling.factor", "scaling.original_context_length",
    "scaling.finetuned", "scaling.attn_factor", "scaling.yarn_ext_factor", "scaling.yarn_beta_fast",
    "scaling.yarn_beta_slow",
}  # fmt: skip
_YARN_KEYS = {
    "original_context_length": "original_max_position_embeddings",
    "yarn_beta_fast": "beta_fast",
    "yarn_beta_slow": "beta_slow",
}


def read_rope(
    own: Mapping[str, Any],
    tensors: Mapping[str, GgufRows],
    config: Mapping[str, Any],
    architecture: GgufArchitecture,
    where: str,
) -> dict[str, Any]:
    """Return rope_theta, rope_scaling and partial_rotary_factor as config.json has them; `own` are the model's keys.

    Raises:
        CheckpointError: factors and sizes contradict each other.
        UnsupportedError: a scaling that has no counterpart in config.json.
    """
    given = {key.removeprefix("rope."): value for key, value in own.items() if key.startswith("rope.")}
    for key, value in given.items():
        if key not in _KNOWN and f"rope.{key}" not in architecture.keys:
            raise UnsupportedError(f"{where}: EdgeKit does not know the rope key {key} ({value!r:.60})", _ORIGINAL)
    theta = float(positive(given, "freq_base", where, DEFAULT_THETA))
    rotated = int(positive(given, "dimension_count", where, config["head_dim"]))
    out: dict[str, Any] = {"rope_theta": theta}
    if rotated != config["head_dim"]:
        if not architecture.partial_rotary:
            raise UnsupportedError(
                f"{where}: {rotated} of {config['head_dim']} elements of a head are rotated", _ORIGINAL
            )
        out["partial_rotary_factor"] = _share(rotated, config["head_dim"])
    factors = {
        kind: _factors(tensors, kind, rotated // 2, where) for kind in ("freqs", "factors_long", "factors_short")
    }
    long, short = factors["factors_long"], factors["factors_short"]
    if long is not None and short is not None:
        out.update(_longrope(long, short, given, config["max_position_embeddings"], where))
    elif long is not None or short is not None:
        raise CheckpointError(f"{where}: one of rope_factors_long and rope_factors_short is missing", _AGAIN)
    elif factors["freqs"] is not None and not np.all(factors["freqs"] == 1.0):
        out["rope_scaling"] = llama3_scaling(factors["freqs"], theta, where)
    else:
        out["rope_scaling"] = _plain(given, where)
    return out


def _share(rotated: int, head_dim: int) -> float:
    """Return the part of a head that is rotated, such that times head_dim it is not cut to one element less."""
    share = rotated / head_dim
    return share if int(head_dim * share) == rotated else math.nextafter(share, 1.0)


def _factors(tensors: Mapping[str, GgufRows], kind: str, count: int, where: str) -> Float64 | None:
    tensor = tensors.get(f"rope_{kind}.weight")
    if tensor is None:
        return None
    values = tensor.all().astype(np.float64)
    if values.shape != (count,) or not np.all(values > 0):
        raise CheckpointError(
            f"{where}: {tensor.name} has the shape {list(values.shape)} for {count} pairs, or factors <= 0", _AGAIN
        )
    return values


def _longrope(long: Float64, short: Float64, given: Mapping[str, Any], context: int, where: str) -> dict[str, Any]:
    original = int(positive(given, "scaling.original_context_length", where, context))
    scaling: dict[str, Any] = {"type": "longrope", "long_factor": _decimals(long), "short_factor": _decimals(short)}
    if "scaling.attn_factor" in given:
        factor = float(positive(given, "scaling.attn_factor", where, 1.0))
        if not math.isclose(factor, _longrope_factor(context, original), rel_tol=1e-4):
            scaling["attention_factor"] = factor
    return {"rope_scaling": scaling, "original_max_position_embeddings": original}


def _longrope_factor(context: int, original: int) -> float:
    """Return what cos and sin are multiplied by where the config says nothing (the paper's equation 7)."""
    return math.sqrt(1 + math.log(context / original) / math.log(original)) if context > original > 1 else 1.0


def _plain(given: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """Return the scaling that the keys alone describe: none, YaRN, or linear (`scale_linear` is its old spelling)."""
    if number(given, "scaling.attn_factor", where, 1.0) != 1.0:
        raise UnsupportedError(f"{where}: the rope's scaling.attn_factor is not 1", _ORIGINAL)
    kind = text(given, "scaling.type", where) or ("linear" if "scale_linear" in given else "none")
    factor = float(number(given, "scaling.factor", where, number(given, "scale_linear", where, 1.0)))
    if kind == "none" or (kind == "linear" and factor in (0.0, 1.0)):  # 0 is llama.cpp's "not set"
        return None
    if kind == "yarn":
        return _yarn(given, factor, where)
    if kind != "linear":
        raise UnsupportedError(f"{where}: the rope scaling {kind!r:.40} is not read from GGUF files", _ORIGINAL)
    return {"rope_type": "linear", "factor": factor}


def _yarn(given: Mapping[str, Any], factor: float, where: str) -> dict[str, Any]:
    """Return YaRN's parameters; what is missing has the paper's values in llama.cpp and transformers alike."""
    if number(given, "scaling.yarn_ext_factor", where, 1.0) != 1.0:
        raise UnsupportedError(f"{where}: the rope's scaling.yarn_ext_factor is not 1", _ORIGINAL)
    out: dict[str, Any] = {"rope_type": "yarn", "factor": factor}
    for key, config_key in _YARN_KEYS.items():
        if f"scaling.{key}" in given:
            out[config_key] = positive(given, f"scaling.{key}", where, 1.0)
    return out


def llama3_scaling(factors: Float64, theta: float, where: str) -> dict[str, Any]:
    """Return Llama 3.1's scaling parameters from the factors that llama.cpp stores instead of them.

    Frequencies above a border stay, those below another are divided by `factor`, and between them the share that is
    kept falls in a straight line. Only the ratio of three parameters matters, so `low_freq_factor` is 1, as in every
    published model; with fewer than two pairs between the borders, `high_freq_factor` is 4 if that fits, as in all.

    Raises:
        UnsupportedError: no such parameters give these factors.
    """
    factor = float(str(np.float32(factors.max())))
    with np.errstate(all="ignore"):
        turns = theta ** (-np.arange(len(factors)) / len(factors)) / (2 * math.pi)
        for high in _high_candidates(factors, turns, factor) if factor > 1.0 else ():
            scaling = {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": high,
                "original_max_position_embeddings": _original_length(factors, turns, factor, high),
            }
            if np.allclose(_llama3_factors(scaling, turns), factors, rtol=1e-3):
                return scaling
    raise UnsupportedError(f"{where}: the factors in rope_freqs.weight are not those of a Llama 3 scaling", _ORIGINAL)


def _shares(factors: Float64, factor: float) -> Float64:
    """Return how much of the unscaled frequency each pair keeps: 1 above both borders, 0 below both."""
    return (1 / factors - 1 / factor) / (1 - 1 / factor)


def _high_candidates(factors: Float64, turns: Float64, factor: float) -> list[float]:
    usual = [4.0, 2.0, 8.0, 1.5, 16.0, 1.1]
    between = (factors > 1.0) & ~np.isclose(factors, factor)
    if between.sum() < 2:
        return usual
    # share = (turns * original - low) / (high - low), so the line's value at 0 turns is -1 / (high - 1).
    at_zero = float(np.polyfit(turns[between], _shares(factors, factor)[between], 1)[1])
    if not -1e6 < at_zero < -1e-6:
        return usual
    high = 1.0 - 1.0 / at_zero
    return [float(round(high)), high, *usual]


def _original_length(factors: Float64, turns: Float64, factor: float, high: float) -> float:
    between = (factors > 1.0) & ~np.isclose(factors, factor)
    if between.any():
        shares = _shares(factors, factor)[between]
        length = float(np.mean((shares * (high - 1.0) + 1.0) / turns[between]))
    else:
        # Any length that keeps the borders between the same pairs is as good: take the middle of what is possible.
        most = 1.0 / turns[np.isclose(factors, factor)].max()
        least = high / turns[factors == 1.0].min() if (factors == 1.0).any() else most / 4
        length = math.sqrt(least * most)
    return round(length) if math.isfinite(length) and math.isclose(length, round(length), rel_tol=1e-3) else length


def _llama3_factors(scaling: Mapping[str, Any], turns: Float64) -> Float64:
    """Compute the factors forward, as llama.cpp's converter does."""
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    share = np.clip((scaling["original_max_position_embeddings"] * turns - low) / (high - low), 0.0, 1.0)
    return np.asarray(1.0 / ((1.0 - share) / scaling["factor"] + share))


def _decimals(values: Float64) -> list[float]:
    return [float(str(np.float32(value))) for value in values]


_ORIGINAL = "give the model's original checkpoint (config.json and safetensors)"
_AGAIN = "convert the model again"

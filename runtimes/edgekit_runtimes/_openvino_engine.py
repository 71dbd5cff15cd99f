"""OpenVINO itself: imported without its telemetry, its settings, and models read with errors in words."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

from edgekit.decoder import LoadOptions
from edgekit.errors import BundleError, UsageError, install_hint
from edgekit.importing import import_openvino

PRECISION_VARIABLE = "EDGEKIT_OPENVINO_PRECISION"
"""Forces the precision of quantized bundles' arithmetic, for measuring: f32, bf16 or f16."""

SMALL = 256
"""Hidden size below which quantized bundles are computed in f32 too."""

_NEEDS = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
_KV = {"f32": "f32", "f16": "f16", "int8": "u8"}
_TAG = re.compile(r"<[^<>]*\boffset\s*=[^<>]*>")
_NUMBER = r"\b{}\s*=\s*[\"']\s*([-+]?\d{{1,40}})\s*[\"']"
_NOTE = r'<{} value="([^"<>]*)" />'


def engine() -> Any:  # noqa: ANN401 - an untyped module
    """Import openvino without its telemetry."""
    return import_openvino()


def settings(core: Any, options: LoadOptions, quantization: str, hidden_size: int) -> dict[str, str]:  # noqa: ANN401
    """Return the engine's settings.

    Float bundles are computed exactly as written. Quantized ones get what the CPU is fastest with; their keys are
    quantized token by token, because by channel a rewind into a block would change what stays in it. Small models
    are spared the quantization of activations: nothing is gained, and few terms average its errors out.
    """
    chosen = {"PERFORMANCE_HINT": "LATENCY", "KEY_CACHE_QUANT_MODE": "BY_TOKEN", "CACHE_MODE": "OPTIMIZE_SIZE"}
    if options.threads is not None:
        chosen["INFERENCE_NUM_THREADS"] = str(options.threads)
    exact, small = quantization == "none", hidden_size < SMALL
    chosen["KV_CACHE_PRECISION"] = ("f32" if exact else "u8") if options.kv == "auto" else _KV[options.kv]
    forced = os.environ.get(PRECISION_VARIABLE)
    if forced:
        chosen["INFERENCE_PRECISION_HINT"] = _supported(forced, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    elif exact or small:
        chosen["INFERENCE_PRECISION_HINT"] = "f32"
    if exact or small:
        chosen["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"
    return chosen


def _supported(precision: str, capabilities: list[str]) -> str:
    if precision not in _NEEDS:
        raise UsageError(f"{PRECISION_VARIABLE} is {precision!r}", f"choose one of: {', '.join(_NEEDS)}")
    if _NEEDS[precision] not in capabilities:
        raise UsageError(
            f"{PRECISION_VARIABLE} asks for {precision}, which this CPU does not compute with",
            f"unset it, or set it to f32 (the CPU has {', '.join(capabilities)})",
        )
    return precision


def check_places(xml: Path, weights: Path) -> None:
    """Refuse an IR that names bytes outside of its weights: the engine's own check can be passed by an overflow.

    Raises:
        BundleError: with the place.
    """
    size = weights.stat().st_size
    for tag in _TAG.findall(xml.read_text(encoding="utf-8", errors="replace")):
        offset, length = (_number(tag, name) for name in ("offset", "size"))
        if offset is None or length is None or min(offset, length) < 0 or offset + length > size:
            raise BundleError(
                f"{xml} names {length} bytes at {offset}; {weights.name} has {size}",
                "the bundle is damaged: copy it again, or export it again",
            )


def _number(tag: str, name: str) -> int | None:
    found = re.search(_NUMBER.format(name), tag)
    return int(found.group(1)) if found else None


def noted(xml: Path, key: str) -> str:
    """Return what the format noted for the runtime in the model's rt_info, "" where it did not."""
    found = re.search(_NOTE.format(re.escape(key)), xml.read_text(encoding="utf-8", errors="replace"))
    return found.group(1) if found else ""


def read_model(core: Any, xml: Path, weights: Path) -> Any:  # noqa: ANN401
    """Read an IR.

    Raises:
        BundleError: it is no IR that this version of the engine can read.
    """
    try:
        return core.read_model(str(xml), str(weights))
    except Exception as error:
        raise load_error(xml, error) from error


def load_error(xml: Path, error: Exception) -> BundleError:
    """Return what to tell a user whose model the engine refuses."""
    version = importlib.import_module("openvino").__version__.split("-")[0]
    return BundleError(
        f"OpenVINO {version} cannot load {xml}: {reason(error)}",
        f"update it ({install_hint('openvino')} --upgrade), or export the bundle again",
    )


def reason(error: Exception) -> str:
    """Return what an engine's error says, without the places in its source."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return (said or lines or [type(error).__name__])[-1][:300]

"""Takes values out of GGUF metadata by their type: a stranger wrote it, and any key may hold anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from edgekit.errors import CheckpointError, UnsupportedError


def text(metadata: Mapping[str, Any], key: str, where: str) -> str | None:
    """Return a text, None where there is none or an empty one.

    Raises:
        CheckpointError: the value is something else.
    """
    value = metadata.get(key)
    if value is not None and not isinstance(value, str):
        _refuse(value, key, "text", where)
    return value or None


def flag(metadata: Mapping[str, Any], key: str, where: str, *, default: bool) -> bool:
    """Return a truth value.

    Raises:
        CheckpointError: the value is something else.
    """
    value = metadata.get(key, default)
    if not isinstance(value, bool):
        _refuse(value, key, "true or false", where)
    return value


def number(metadata: Mapping[str, Any], key: str, where: str, default: float) -> float:
    """Return a finite number, an int where it is whole in the file; a number per layer is taken where all are equal.

    Raises:
        CheckpointError: the value is something else.
        UnsupportedError: the layers differ.
    """
    value = metadata.get(key, default)
    if isinstance(value, np.ndarray) and value.size:
        if not (value == value[0]).all():
            raise UnsupportedError(
                f"{where}: {key} differs from layer to layer: {value.tolist()!r:.80}",
                "give the model's original checkpoint (config.json and safetensors)",
            )
        value = value[0].item()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        _refuse(value, key, "a number", where)
    return value


def positive(metadata: Mapping[str, Any], key: str, where: str, default: float) -> float:
    """Return a number above zero.

    Raises:
        CheckpointError, UnsupportedError: as `number`, or it is zero or less.
    """
    value = number(metadata, key, where, default)
    if value <= 0:
        _refuse(value, key, "a number above zero", where)
    return value


def _refuse(value: object, key: str, wanted: str, where: str) -> NoReturn:
    raise CheckpointError(f"{where}: {key} is {value!r:.80}, not {wanted}", "take another conversion of the model")

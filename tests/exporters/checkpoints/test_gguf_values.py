from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints.gguf import open_gguf
from edgekit_exporters.checkpoints.gguf_values import flag, number, positive, text

Convert = Callable[..., Path]

ODD: list[tuple[Any, gguf.GGUFValueType, gguf.GGUFValueType | None]] = [
    ("odd", gguf.GGUFValueType.STRING, None),
    (0, gguf.GGUFValueType.UINT32, None),
    (1 << 63, gguf.GGUFValueType.UINT64, None),
    (float("nan"), gguf.GGUFValueType.FLOAT32, None),
    ([1, 2], gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.INT32),
    (["a", "b"], gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.STRING),
]


def test_values_are_taken_by_their_type() -> None:
    layers = np.array([4, 4, 4], np.int32)
    metadata = {"t": "x", "e": "", "f": True, "n": 3, "r": 0.5, "layers": layers}
    assert (text(metadata, "t", "w"), text(metadata, "e", "w"), text(metadata, "no", "w")) == ("x", None, None)
    assert flag(metadata, "f", "w", default=False)
    assert flag(metadata, "no", "w", default=True)
    assert (number(metadata, "n", "w", 0), number(metadata, "r", "w", 0), number(metadata, "no", "w", 7)) == (3, 0.5, 7)
    assert number(metadata, "layers", "w", 0) == 4
    assert type(number(metadata, "layers", "w", 0)) is int


def test_other_types_are_refused_with_key_and_value() -> None:
    with pytest.raises(CheckpointError, match=r"file: k is 3, not text"):
        text({"k": 3}, "k", "file")
    with pytest.raises(CheckpointError, match="k is 1, not true or false"):
        flag({"k": 1}, "k", "file", default=True)
    with pytest.raises(CheckpointError, match="k is nan, not a number"):
        number({"k": float("nan")}, "k", "file", 0)
    with pytest.raises(CheckpointError, match="k is 0, not a number above zero"):
        positive({"k": 0}, "k", "file", 1)
    with pytest.raises(UnsupportedError, match=r"k differs from layer to layer: \[1, 2\]"):
        number({"k": np.array([1, 2])}, "k", "file", 0)


@pytest.mark.slow
def test_any_key_may_hold_anything(golden_gguf: Convert, tiny_vocabulary: Callable[..., None]) -> None:
    keys: set[str] = set()

    def collect(writer: gguf.GGUFWriter) -> None:
        tiny_vocabulary(writer)
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(2.0)
        keys.update(writer.kv_data[0])

    with open_gguf(golden_gguf("llama_gqa", extra=collect)) as checkpoint:
        assert checkpoint.tokenizer_json
    for key in sorted(keys | {"general.type", "split.count", "general.alignment"}):
        for value, kind, inner in ODD:

            def replace(writer: gguf.GGUFWriter) -> None:
                collect(writer)
                writer.kv_data[0][key] = gguf.GGUFValue(value=value, type=kind, sub_type=inner)  # noqa: B023

            with (
                contextlib.suppress(CheckpointError, UnsupportedError),
                open_gguf(golden_gguf("llama_gqa", extra=replace)),
            ):
                pass

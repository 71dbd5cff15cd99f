"""Writes a safetensors file as it goes: nothing larger than one block is in memory.

The layout is that of github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
BYTES = {"F32": 4, "BF16": 2}


def size(dtype: str, shape: Shape) -> int:
    """Return the bytes of a tensor."""
    return BYTES[dtype] * int(np.prod(shape))


def write(path: Path, dtype: str, shapes: Mapping[str, Shape], blocks: Iterable[npt.NDArray[Any]]) -> None:
    """Write tensors of one type; `blocks` are their values, in the order of `shapes`, little-endian."""
    header, position = {}, 0
    for name, shape in shapes.items():
        end = position + size(dtype, shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in blocks:
            file.write(values.data)

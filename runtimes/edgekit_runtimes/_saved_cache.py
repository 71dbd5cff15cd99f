"""A saved cache on its way into an engine: whether it is one of this model, and the copy."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.machine import physical_cores

BELONGS = "it belongs to another bundle"


def check_saved(
    state: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, tuple[npt.DTypeLike, tuple[int, ...]]]
) -> None:
    """Refuse arrays that are not the ones expected, by name, type and shape.

    Raises:
        EdgekitError: an array is missing, or one is too many or of another type or shape.
    """
    if set(state) != set(expected):
        raise EdgekitError("the saved cache has other layers than this model", BELONGS)
    for name, (dtype, shape) in expected.items():
        saved = state[name]
        if saved.dtype != np.dtype(dtype) or saved.shape != shape:
            raise EdgekitError(f"the saved cache of {name} has the shape {saved.shape}", BELONGS)


def copy_saved(state: Mapping[str, npt.NDArray[Any]], into: Mapping[str, npt.NDArray[Any]]) -> None:
    """Copy saved arrays into those that an engine computes in, which nothing has touched yet.

    By all cores: what takes the time is not the copy but the first touch of each page.

    Raises:
        EdgekitError: they are not the same ones, by name, type and shape; nothing was copied.
    """
    check_saved(state, {name: (array.dtype, array.shape) for name, array in into.items()})
    with ThreadPoolExecutor(physical_cores()) as pool:
        list(pool.map(lambda name: np.copyto(into[name], state[name]), into))

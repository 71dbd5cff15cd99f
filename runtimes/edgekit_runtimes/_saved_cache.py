"""Whether a saved cache is one of this model: every runtime asks before it writes anything of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError

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

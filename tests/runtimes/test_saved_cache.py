"""A saved cache is checked as a whole before any of it is copied."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.errors import EdgekitError
from edgekit_runtimes._saved_cache import check_saved, copy_saved

NAMES = ("key.0", "value.0", "key.1", "value.1")


def arrays(start: float = 0.0) -> dict[str, np.ndarray]:
    return {name: np.full((2, 3), start + place, np.float32) for place, name in enumerate(NAMES)}


def test_a_saved_cache_is_copied_into_views() -> None:
    memory = {name: np.zeros((2, 5), np.float32) for name in NAMES}
    saved = arrays(7.0)
    copy_saved(saved, {name: array[:, :3] for name, array in memory.items()})
    for name in NAMES:
        assert np.array_equal(memory[name][:, :3], saved[name])
        assert not memory[name][:, 3:].any()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("key.0", np.zeros((2, 4), np.float32)),
        ("value.1", np.zeros((2, 3), np.float16)),
        ("value.0", np.zeros((3, 2), np.float32)),
        ("value.2", np.zeros((2, 3), np.float32)),
    ],
)
def test_a_saved_cache_of_another_model_changes_nothing(name: str, array: np.ndarray) -> None:
    into = arrays()
    with pytest.raises(EdgekitError, match="saved cache") as caught:
        copy_saved({**arrays(7.0), name: array}, into)
    assert caught.value.hint == "it belongs to another bundle"
    assert all(np.array_equal(into[each], before) for each, before in arrays().items())


def test_a_saved_cache_that_lacks_a_layer() -> None:
    expected = dict.fromkeys(NAMES, (np.float32, (2, 3)))
    check_saved(arrays(), expected)
    with pytest.raises(EdgekitError, match="other layers"):
        check_saved({name: array for name, array in arrays().items() if name != "key.1"}, expected)

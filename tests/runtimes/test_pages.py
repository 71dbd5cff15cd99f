"""Memory for caches, and the large pages that are asked for before much of it is written."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import EdgekitError
from edgekit_runtimes._pages import LARGE, expect, pages
from edgekit_runtimes._saved_cache import check_saved


def flags_at(address: int) -> set[str]:
    """Return the flags of the mapping that holds an address, as the kernel tells them."""
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="ascii").splitlines():
        if span := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(span[1], 16) <= address < int(span[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return set(line.split()[1:])
    raise LookupError(f"nothing is mapped at {address:#x}")


def test_pages_are_zeros_that_begin_at_a_page() -> None:
    array = pages(3 * LARGE).view(np.float32).reshape(3, -1)
    assert array.ctypes.data % mmap.PAGESIZE == 0
    assert not array.any()
    array[1] = 1.0
    assert array.sum() == LARGE / 4


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="this system has no large pages to ask for")
def test_large_pages_are_asked_for_as_far_as_is_written_and_no_further() -> None:
    array = pages(4 * LARGE).view(np.float16).reshape(4, -1)
    array[0, :5] = 1.0
    before = array.copy()
    expect(array[:, :1], 2 * LARGE + LARGE // 2)
    address = array.ctypes.data
    assert "hg" in flags_at(address)
    assert "hg" in flags_at(address + 2 * LARGE - 1)
    assert "hg" not in flags_at(address + 2 * LARGE)
    assert np.array_equal(array, before)


def test_other_memory_is_left_alone() -> None:
    expect(np.zeros(4 * LARGE, np.uint8), 4 * LARGE)
    small = pages(LARGE // 2)
    expect(small, small.nbytes)
    assert not small.any()


class WithoutLargePages(mmap.mmap):
    def madvise(self, *_: int) -> None:
        raise OSError(22, "Invalid argument")


def test_a_kernel_without_large_pages_is_no_error() -> None:
    array = np.frombuffer(WithoutLargePages(-1, LARGE), np.uint8)
    expect(array, LARGE)
    assert not array.any()


SAVED = {"key.0": np.zeros((2, 3), np.float32), "value.0": np.zeros((2, 3), np.float32)}
EXPECTED = dict.fromkeys(SAVED, (np.float32, (2, 3)))


def test_a_saved_cache_that_fits() -> None:
    check_saved(SAVED, EXPECTED)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("key.0", np.zeros((2, 4), np.float32)),
        ("key.0", np.zeros((2, 3), np.float16)),
        ("value.0", np.zeros((3, 2), np.float32)),
        ("value.1", np.zeros((2, 3), np.float32)),
    ],
)
def test_a_saved_cache_of_another_model(name: str, array: np.ndarray) -> None:
    with pytest.raises(EdgekitError, match="saved cache") as caught:
        check_saved({**SAVED, name: array}, EXPECTED)
    assert caught.value.hint == "it belongs to another bundle"


def test_a_saved_cache_that_lacks_a_layer() -> None:
    with pytest.raises(EdgekitError, match="other layers"):
        check_saved({"key.0": SAVED["key.0"]}, EXPECTED)

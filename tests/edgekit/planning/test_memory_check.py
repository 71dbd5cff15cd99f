"""Loading what does not fit is refused in words, unless one insists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stub_runtime import StubRuntime

import edgekit
from edgekit.errors import MemoryShortageError
from edgekit.machine import Memory
from edgekit.planning import memory_check
from edgekit.planning.footprint import PYTHON


def free(monkeypatch: pytest.MonkeyPatch, available: int | None) -> None:
    monkeypatch.setattr(memory_check, "read_memory", lambda: Memory(total=None, available=available))


@pytest.fixture
def large(write: Callable[..., Path], stub: StubRuntime, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that needs 10 GB and 1 MB for each token."""
    from edgekit.planning.footprint import Footprint, Use
    from edgekit.planning.outline import FormatOutline

    def footprint(outline: FormatOutline, use: Use) -> Footprint:
        own = {"copies": 0, "activations": 0, "program": PYTHON}
        return Footprint(mapped=10_000_000_000, cache=1_000_000 * use.context, **own)

    monkeypatch.setattr(stub, "footprint", footprint)
    return write()


def test_what_fits_is_loaded(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 10_064_000_000)
    edgekit.load(large, context=64).close()


def test_what_does_not_fit_is_refused_before_the_engine_begins(
    large: Path, stub: StubRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 10_063_999_999)
    with pytest.raises(MemoryShortageError) as caught:
        edgekit.load(large, context=64)
    assert caught.value.message == (
        f"{large} needs 10.06 GB of memory on stub with a context of 64 tokens, and 10.06 GB are free"
    )
    assert caught.value.hint.startswith("take a context of 63 (--context), or load it all the same with memory_check")
    assert stub.opened == []


def test_no_context_is_small_enough(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 1_000_000_000)
    with pytest.raises(MemoryShortageError) as caught:
        edgekit.load(large)
    assert caught.value.hint == "load it all the same with memory_check=False (--no-memory-check)"


def test_one_may_insist(large: Path, stub: StubRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 1)
    edgekit.load(large, memory_check=False).close()
    assert len(stub.opened) == 1


def test_a_system_that_does_not_tell_refuses_nothing(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, None)
    edgekit.load(large).close()

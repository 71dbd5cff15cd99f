"""A short run over every reader; `make fuzz` is the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from fuzz.limits import limit_memory
from fuzz.mutations import mutated
from fuzz.readers import READERS, run
from fuzz.seeds import seeds, write_config
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edgekit import sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where inputs lie, with memory limited and counted as long as it is used."""
    path = tmp_path_factory.mktemp("fuzz")
    write_config(path)
    with pytest.MonkeyPatch.context() as patch, limit_memory():
        patch.setattr(sandbox, "MAX_SECONDS", 0.1)
        yield path


@pytest.mark.parametrize("reader", READERS)
def test_seeds_are_accepted(folder: Path, reader: str) -> None:
    for data in seeds(reader):
        assert run(reader, data, folder)


@pytest.mark.parametrize("reader", READERS)
def test_some_changed_seeds(folder: Path, reader: str) -> None:
    corpus, draw = seeds(reader), Random(7)
    accepted = [run(reader, mutated(draw.choice(corpus), corpus, draw, reader), folder) for _ in range(60)]
    assert not all(accepted)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_two_thousand_inputs(folder: Path, reader: str) -> None:
    corpus = seeds(reader)

    @settings(
        max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(st.sampled_from(corpus), st.randoms(use_true_random=False))
    def check(seed: bytes, draw: Random) -> None:
        run(reader, mutated(seed, corpus, draw, reader), folder)

    check()


def test_memory_is_limited() -> None:
    with limit_memory(1 << 28) as limited:
        try:
            reserved = len(bytearray(1 << 33)) if limited else 0
        except MemoryError:
            reserved = 0
    assert reserved == 0
    assert bytearray(1 << 20)

"""What every test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Where a run decides whether a change lands, chance has no say; on a desk every run tries something new.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# Before numpy is imported: for matrices as small as these, threads cost more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A run started in the background of a shell ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave nothing in the cache folder of whoever runs them, and find nothing there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded references: EDGEKIT_SHARED, or ../shared beside the checkout."""
    folder = Path(os.environ.get("EDGEKIT_SHARED") or ROOT.parent / "shared")
    if not (folder / "golden").is_dir():
        pytest.fail(f"no recorded references in {folder}: set EDGEKIT_SHARED to the folder that has golden/")
    return folder


@pytest.fixture(scope="session")
def downloads() -> Path:
    """Where tests keep what they fetched, so that it is fetched once; `make clean` removes it."""
    folder = Path(os.environ.get("EDGEKIT_TEST_CACHE") or ROOT / ".cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder

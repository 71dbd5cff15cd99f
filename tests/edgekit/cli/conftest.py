from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.cli import main


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def bundle(checkpoint: Path) -> Path:
    path = checkpoint.parent / "tiny.edge"
    assert main(["export", str(checkpoint), "-o", str(path), "--json"]) == 0
    return path


@pytest.fixture
def writable_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(bundle, tmp_path / "copy.edge"))


@pytest.fixture(scope="session")
def bundle_without_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ids")
    source = write_tiny_checkpoint(folder / "ids", text=False)
    path = folder / "ids.edge"
    assert main(["export", str(source), "-o", str(path), "--json"]) == 0
    return path

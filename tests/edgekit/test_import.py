from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import edgekit
from edgekit import registry

HEAVY = {
    *("onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime", "torch", "transformers", "tokenizers", "jinja2"),
    *("onnx", "gguf", "huggingface_hub", "typer", "rich", "psutil", "faiss", "edgekit_exporters", "edgekit_runtimes"),
}


def loaded_by(code: str) -> list[str]:
    command = f"{code}; import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_by("import edgekit") == []
    assert loaded_by("import edgekit; dir(edgekit); edgekit.export; edgekit.EdgekitError") == []


def test_the_parts_load_no_engine() -> None:
    assert set(loaded_by("import edgekit; edgekit.KnowledgeBase")) == {"jinja2"}
    assert set(loaded_by("import edgekit; edgekit.load; edgekit.Tokenizer; edgekit.render_chat")) == {"jinja2"}


def test_public_names() -> None:
    for name in edgekit.__all__:
        assert getattr(edgekit, name) is not None
        assert name in dir(edgekit)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgekit.nothing


def test_export_is_reached_late(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(registry, "call", lambda *args, **kwargs: calls.append((*args, kwargs)) or Path("made"))
    assert edgekit.export("someone/tiny", to=["onnx"], quantize="int4", output="tiny.edge") == Path("made")
    options = {
        "context": None, "name": None, "adapter": None, "companions": (), "force": False, "via": None, "progress": None,
    }  # fmt: skip
    assert calls == [("export", "export", "someone/tiny", ["onnx"], "int4", "tiny.edge", options)]

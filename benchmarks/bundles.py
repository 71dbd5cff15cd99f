"""The bundles that are measured, each exported in a fresh process that reports its peak memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from phi3_checkpoint import make_checkpoint
from setting import CACHE, PHI3, SMOLLM2, shared

from edgekit.cli.progress import watch
from edgekit.folders import CACHE_VARIABLE

EXPORT = """
import json, sys, time
import edgekit
from edgekit.machine import peak_memory
source, quantize, output, context = sys.argv[1:]
began = time.perf_counter()
edgekit.export(source, to=["onnx"], quantize=quantize, output=output, context=int(context), force=True)
print(json.dumps({"seconds": time.perf_counter() - began, "peak_bytes": peak_memory()}))
"""
CONTEXT = 2048
_exported: set[Path] = set()


def bundle(model: str, quantize: str) -> Path:
    """Return the folder of a bundle of this run; only the large model's is taken from an earlier one."""
    path = _path(model, quantize)
    if path not in _exported and not (model == "phi3" and path.exists()):
        export(model, quantize)
    return path


def export(model: str, quantize: str) -> dict[str, Any]:
    """Export "smollm2" or "phi3" in a fresh process and return its seconds and peak bytes."""
    path = _path(model, quantize)
    environment = {**os.environ, CACHE_VARIABLE: str(CACHE)}
    arguments = [_source(model), quantize, str(path), str(CONTEXT)]
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    _exported.add(path)
    return json.loads(done.stdout.splitlines()[-1])


def _path(model: str, quantize: str) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE / f"{model}-{quantize}.edge"


def _source(model: str) -> str:
    if model == "smollm2":
        return SMOLLM2
    with watch() as progress:
        return str(make_checkpoint(PHI3, shared() / "data" / "tokenizers" / "phi-3-mini", progress))

"""onnxruntime-genai in an environment of its own, with the onnxruntime that EdgeKit runs on."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from setting import CACHE

GENAI = "0.18.0"


def genai_python() -> Path:
    """Return the interpreter of that environment; it is made if it is not there."""
    engine = importlib.metadata.version("onnxruntime")
    folder = CACHE / f"genai-{GENAI}-{engine}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        packages = [f"onnxruntime-genai=={GENAI}", f"onnxruntime=={engine}", "numpy"]
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True
        )
        ready.touch()
    return python

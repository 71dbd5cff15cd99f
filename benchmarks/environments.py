"""The peers' environments: each engine or exporter that EdgeKit is compared with has its own, made when first needed.

Nobody's exporters install together, and an engine's figures must not depend on what another brought along.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass, field

from setting import CACHE


@dataclass(frozen=True)
class Environment:
    """What is installed, and what is taken out again; packages in the form pip takes them."""

    name: str
    packages: tuple[str, ...]
    removed: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    """What the build of a package heeds."""

    def python(self) -> str:
        """Return its interpreter; the environment is made if it is not there, or not whole."""
        digest = hashlib.sha256(repr(self).encode()).hexdigest()[:8]
        folder = CACHE / "environments" / f"{self.name}-{digest}"
        python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        if not (folder / "ready").exists():
            print(f"Making the environment {folder.name} ...", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [python, "-m", "pip", "--disable-pip-version-check", "-q"]
            environment = {**os.environ, **self.variables}
            subprocess.run([*pip, "install", *self.packages], check=True, env=environment)
            if self.removed:
                subprocess.run([*pip, "uninstall", "-y", *self.removed], check=True)
            (folder / "ready").touch()
        return python


def _here(package: str) -> str:
    """Return a package in the version that EdgeKit runs on: both sides then stand on the same engine."""
    return f"{package}=={importlib.metadata.version(package)}"


GENAI = Environment("genai", ("onnxruntime-genai==0.18.0", _here("onnxruntime"), "numpy"))
OPENVINO_GENAI = Environment("openvino-genai", ("openvino-genai==2026.4.1.0", _here("openvino"), "numpy"))
OPTIMUM_INTEL = Environment(
    "optimum-intel",
    # This spelling of torch is the one without CUDA. The torchvision that comes along is built for another torch and
    # breaks the imports of transformers.
    ("torch==2.13.0", "optimum-intel==2.2.0", "nncf==3.4.0", _here("openvino"), "openvino-tokenizers==2026.4.1.0"),
    removed=("torchvision",),
)
LITERT_LM = Environment("litert-lm", ("litert-lm-api==0.18.1",))
LLAMA_CPP = Environment(
    "llama-cpp", ("llama-cpp-python==0.3.36", "gguf==0.19.0", "numpy"), variables={"CMAKE_ARGS": "-DGGML_NATIVE=ON"}
)
SENTENCE_TRANSFORMERS = Environment(
    "sentence-transformers", ("torch==2.13.0", "sentence-transformers==6.2.0", _here("onnx"), _here("tokenizers"))
)

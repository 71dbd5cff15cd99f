"""Other people's engines, each in an environment of its own: what we write is run by those that it is for."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = {
    "openvino-genai": (f"openvino-genai~={importlib.metadata.version('openvino')}.0", "numpy"),
    "litert-lm-api": ("litert-lm-api==0.18.1",),
}
"""What is installed: GenAI fits the version of the engine that the tests run on."""


@dataclass(frozen=True)
class Peer:
    """The interpreter of an environment."""

    python: str

    def json(self, code: str, *arguments: str) -> Any:
        """Run a program and return the JSON that is the last line it prints."""
        command = [self.python, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])


def make_peer(name: str, downloads: Path) -> Peer:
    """Return an environment with one engine; it is made where it is not there, or not whole."""
    folder = downloads / "peers" / name
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    ready = folder / "ready"
    wanted = " ".join(PACKAGES[name])
    if not ready.is_file() or ready.read_text(encoding="utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=300)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES[name]]
        subprocess.run(install, check=True, timeout=500)
        ready.write_text(wanted, encoding="utf-8")
    return Peer(python)

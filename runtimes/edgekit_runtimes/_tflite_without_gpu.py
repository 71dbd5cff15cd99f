"""ai-edge-litert without its accelerator for GPUs, for processors on which that one ends the process.

CompiledModel makes an environment of its own, which loads every accelerator beside the engine's libraries, whatever the
caller asks for (ai-edge-litert 2.3, litert/runtime/accelerators/gpu_registry.cc). The one for GPUs is built with atomic
instructions (LSE, Arm v8.1); a Raspberry Pi 4 has none, and loading it there is an illegal instruction. So the package
is imported from a folder of links to its files, that one left out.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import shutil
import sys
import tempfile
from pathlib import Path

from edgekit.errors import RuntimeUnavailableError

PACKAGE = "ai_edge_litert"
LEFT_OUT = "GpuAccelerator"


@functools.cache
def leave_out_gpu() -> None:
    """Let what is imported of ai-edge-litert from now on come without the accelerator.

    Raises:
        RuntimeUnavailableError: its libraries are loaded already, from where they find it.
    """
    package = importlib.import_module(PACKAGE)
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{PACKAGE}.") and str(getattr(module, "__file__", "")).endswith(".so"):
            raise RuntimeUnavailableError(
                f"{PACKAGE} was imported before this model was loaded, with its accelerator for GPUs, of whose "
                "instructions this processor lacks some: the process would die of them",
                f"load the model with EdgeKit before you import {PACKAGE}",
            )
    folder = Path(tempfile.mkdtemp(prefix="edgekit-litert-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    links = folder / PACKAGE  # its modules look at their folder's name
    links.mkdir()
    for place in package.__path__:
        for file in Path(place).iterdir():
            if LEFT_OUT not in file.name:
                (links / file.name).symlink_to(file)
    package.__path__ = [str(links)]

"""Importing a package without one that it would import: engines report to their makers through such ones."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType

_LOCK = threading.Lock()


def import_openvino() -> ModuleType:
    """Import openvino without its telemetry.

    `import openvino` sends an event to a collector through the package openvino_telemetry, and knows no switch against
    it; where that package cannot be imported it uses a stub of its own (openvino/tools/ovc/telemetry_utils.py).
    """
    return import_without("openvino", "openvino_telemetry")


def import_without(name: str, unwanted: str) -> ModuleType:
    """Import a module as if another was not installed; afterwards that one is as it was."""
    with _LOCK:
        known = sys.modules.get(unwanted, unwanted)
        if name not in sys.modules:
            sys.modules[unwanted] = None  # type: ignore[assignment]  # what makes an import fail
        try:
            return importlib.import_module(name)
        finally:
            if sys.modules.get(unwanted, unwanted) is None:
                del sys.modules[unwanted]
            if not isinstance(known, str):
                sys.modules[unwanted] = known

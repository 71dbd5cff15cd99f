"""Compiled models kept in the user's cache folder: what the engine makes of a model, without its weights.

A file is 8 bytes of magic, 32 bytes of key, 32 bytes of SHA-256 of what follows, and the engine's blob, which is
empty where the engine could not give one or could not take it back: it need not be asked again. The key holds all that
the blob depends on. Nothing here may fail a load: without a cache it is slower.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.folders import user_cache_folder
from edgekit_runtimes._openvino_stored import prepare

MAGIC = b"EDGEOV02"
HEADER = len(MAGIC) + 32 + 32
MAX_BYTES = 1 << 30
UNUSED_SECONDS = 30 * 24 * 3600


class ModelCache:
    """The cache of one model with one set of settings."""

    def __init__(self, facts: dict[str, Any]) -> None:
        """Take everything that a compiled model depends on, as JSON values: hashes, settings, engine, CPU."""
        self._key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()
        self.path = user_cache_folder() / "openvino" / f"{self._key.hex()}.blob"

    def load(self, ov: Any, settings: dict[str, str], weights: Path) -> Any:  # noqa: ANN401
        """Return the compiled model, None where there is none that is whole and the engine takes."""
        blob = self._read()
        if not blob:
            return None
        try:
            # Copy on write: the engine takes no memory that is for reading alone, though it writes nothing.
            mapped = np.memmap(weights, np.uint8, mode="c")
            core = ov.Core()
            compiled = core.import_model(blob, "CPU", {**settings, **prepare(ov, core, mapped)})
        except Exception:  # noqa: BLE001 - the engine raises types of its own: what it does not take is compiled anew
            self._write(b"")
            return None
        # The engine reads this memory and does not hold it.
        compiled.mapped = mapped
        with contextlib.suppress(OSError):
            os.utime(self.path)
        return compiled

    def store(self, compiled: Any) -> None:  # noqa: ANN401
        """Keep a model that was compiled with `export_settings`, unless one is kept or is known to be useless."""
        if self._read() is not None:
            return
        try:
            blob = compiled.export_model().getvalue()
        except Exception:  # noqa: BLE001 - as above
            blob = b""
        self._write(blob)

    def _read(self) -> bytes | None:
        """Return the blob; None where there is none, or one that is cut short or another's."""
        try:
            if self.path.stat().st_size > MAX_BYTES:
                return None
            data = self.path.read_bytes()
        except OSError:
            return None
        head, blob = data[:HEADER], data[HEADER:]
        return blob if head == self._header(blob) else None

    def _header(self, blob: bytes) -> bytes:
        return MAGIC + self._key + hashlib.sha256(blob).digest()

    def _write(self, blob: bytes) -> None:
        """Write the file, whole or not at all; a folder that cannot be written only means no cache."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._clean()
            handle, temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._header(blob))
                    file.write(blob)
                Path(temporary).replace(self.path)
            finally:
                Path(temporary).unlink(missing_ok=True)

    def _clean(self) -> None:
        """Remove what was not used for a month: other versions' and other models'."""
        oldest = time.time() - UNUSED_SECONDS
        for path in self.path.parent.iterdir():
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

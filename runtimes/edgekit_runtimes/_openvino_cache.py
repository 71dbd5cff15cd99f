"""Compiled models kept in the user's cache folder: what the engine makes of a model, without its weights.

A file is 8 bytes of magic, 32 bytes of key, 32 bytes of SHA-256 of what follows, and the engine's blob, which may be
empty: the engine cannot take back what it gave (OpenVINO 2026.4 loses what it notes at paged attention), and need not
be asked again. The key holds all that the blob depends on. Nothing here may fail a load: without a cache it is slower.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from edgekit.folders import user_cache_folder

MAGIC = b"EDGEOV01"
HEADER = len(MAGIC) + 32 + 32
MAX_BYTES = 1 << 30


class ModelCache:
    """The cache of one model with one set of settings."""

    def __init__(self, facts: dict[str, Any]) -> None:
        """Take everything that a compiled model depends on, as JSON values: hashes, settings, engine, CPU."""
        self._key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()
        self.path = user_cache_folder() / "openvino" / f"{self._key.hex()}.blob"

    def load(self, core: Any, settings: dict[str, str], weights: Path) -> Any:  # noqa: ANN401
        """Return the compiled model, None where there is none that is whole and the engine takes."""
        blob = self._read()
        if not blob:
            return None
        try:
            return core.import_model(blob, "CPU", {**settings, "WEIGHTS_PATH": str(weights)})
        except Exception:  # noqa: BLE001 - the engine raises types of its own: what it does not take is compiled anew
            self._write(b"")
            return None

    def store(self, compiled: Any) -> None:  # noqa: ANN401
        """Keep a compiled model, unless one is kept or is known to be useless."""
        if self._read() is None:
            with contextlib.suppress(Exception):
                self._write(compiled.export_model().getvalue())

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
            handle, temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._header(blob))
                    file.write(blob)
                Path(temporary).replace(self.path)
            finally:
                Path(temporary).unlink(missing_ok=True)

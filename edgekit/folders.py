"""Where EdgeKit keeps what it can rebuild: one folder per user, where the platform expects such things."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CACHE_VARIABLE = "EDGEKIT_CACHE"


def user_cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return the user's cache folder of EdgeKit; it may not exist yet, and deleting it loses only time.

    The variable EDGEKIT_CACHE overrides the platform's place: `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
    Windows, `$XDG_CACHE_HOME` or `~/.cache` elsewhere (XDG base directory specification: a relative value is ignored).
    """
    override = environment.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser()
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else _home() / "AppData" / "Local") / "edgekit" / "Cache"
    if platform == "darwin":
        return _home() / "Library" / "Caches" / "edgekit"
    base = Path(environment.get("XDG_CACHE_HOME") or "")
    return (base if base.is_absolute() else _home() / ".cache") / "edgekit"


def cache_record(kind: str, key: bytes) -> Path:
    """Return the file for what was found out about a key: it names all that the finding depends on."""
    return user_cache_folder() / kind / f"{hashlib.sha256(key).hexdigest()}.json"


def write_whole(path: Path, text: str) -> None:
    """Write a file in the cache folder, whole or not at all, whoever else writes it at the same time.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a service account without a home directory
        return Path(tempfile.gettempdir())

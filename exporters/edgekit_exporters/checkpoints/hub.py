"""Fetches checkpoints from a model hub through huggingface_hub, whose cache keeps them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import EdgekitError, MissingExtraError
from edgekit.progress import Silent
from edgekit_exporters.checkpoint import Source
from edgekit_exporters.checkpoints.folder import open_folder
from edgekit_exporters.checkpoints.sentence import MODULES

if TYPE_CHECKING:
    from edgekit.progress import Progress
    from edgekit_exporters.checkpoint import Checkpoint

WANTED = ["*.json", "*.safetensors", "*.jinja", "README.md", "tokenizer.model"]
# What a plan is made from: the tokenizer's own file, often 10 MB, says nothing about memory and speed.
CONFIGS = ["config.json", "generation_config.json", "tokenizer_config.json", "modules.json", "sentence_*_config.json"]
# Sub-folders hold other formats of the same weights; "consolidated" is a second copy of them.
UNWANTED = ["*/*", "consolidated*.safetensors"]
# sentence-transformers' steps, fetched where modules.json says that there are some.
STEPS = ["[0-9]*_*/config.json"]


def open_hub(
    repository: str, revision: str | None, progress: Progress | None = None, *, config_only: bool = False
) -> Checkpoint:
    """Fetch a repository's checkpoint (what the cache has is not fetched again) and open it.

    Args:
        repository: organisation/name.
        revision: a branch, tag or commit; None is the main branch.
        progress: is told the beginning and the end; on a terminal huggingface_hub shows bytes itself.
        config_only: fetch no weights.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        EdgekitError: the repository does not exist, is not open to this user, or the network fails.
        CheckpointError, UnsupportedError: as `open_folder`.
    """
    # Both are read when huggingface_hub is imported.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingExtraError("huggingface_hub", f"fetching {repository}", "export") from error
    watcher = progress or Silent()
    watcher.start(f"fetch {repository}", None)
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                repository,
                revision=revision,
                allow_patterns=CONFIGS if config_only else WANTED,
                ignore_patterns=UNWANTED,
            )
        )
        if (folder / MODULES).is_file():
            huggingface_hub.snapshot_download(repository, revision=folder.name, allow_patterns=STEPS)
    except Exception as error:
        # Whatever the HTTP client of the installed version raises means the same to the user.
        raise EdgekitError(f"cannot fetch {repository}: {_first_line(error)}", _hint(error)) from error
    finally:
        watcher.finish()
    checkpoint = open_folder(folder, config_only=config_only)
    checkpoint.name = repository.partition("/")[2]
    # The cache names a snapshot's folder after its commit.
    checkpoint.source = Source(id=repository, revision=folder.name, licence=checkpoint.source.licence)
    return checkpoint


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _hint(error: Exception) -> str:
    kind = type(error).__name__
    if kind == "GatedRepoError":
        return "accept the model's terms on its page, then log in: hf auth login"
    if kind == "RepositoryNotFoundError":
        return "check the spelling; a private repository wants a login first: hf auth login"
    if kind == "RevisionNotFoundError":
        return "check the revision behind the @"
    return "check the network, or fetch the checkpoint by other means and give its folder"

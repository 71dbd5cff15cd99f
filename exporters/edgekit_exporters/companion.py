"""Files for other people's engines, beside the format that they run: with them they answer from a bundle's folder.

A companion is a module `companions/NAME.py` with one object, `COMPANION`. Its files are listed in the manifest as all
are; no runtime of ours reads them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

from edgekit.errors import MissingExtraError, UnsupportedError, UsageError
from edgekit.progress import Progress
from edgekit_exporters import companions
from edgekit_exporters.architecture import AnyModel, EncoderModel, Model
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.format import WriteOptions


class Companion(Protocol):
    """Files for one engine."""

    name: str
    engine: str
    """The engine as its makers call it."""
    format: str
    """The format that the engine runs."""

    def check(self, model: Model, checkpoint: Checkpoint, options: WriteOptions) -> None:
        """Refuse what the engine cannot run, before any work.

        Raises:
            UnsupportedError: the model has something that the engine does not know.
            MissingExtraError: a package that writing needs is not installed.
        """

    def write(self, bundle: Path, checkpoint: Checkpoint, options: WriteOptions) -> None:
        """Write the files; the format's own and those of the tokenizer are there."""


def companion_names() -> list[str]:
    """Return the names of all companions."""
    return sorted(module.name for module in pkgutil.iter_modules(companions.__path__))


def find_companions(names: Iterable[str], formats: Sequence[str]) -> list[Companion]:
    """Return companions by name.

    Raises:
        UsageError: there is none of that name, or its format is not among those to be written.
    """
    found = []
    for name in dict.fromkeys(names):
        if name not in companion_names():
            raise UsageError(f"unknown companion {name!r}", f"choose from: {', '.join(companion_names())}")
        companion = cast(Companion, importlib.import_module(f"{companions.__name__}.{name}").COMPANION)
        if companion.format not in formats:
            raise UsageError(
                f"--{name} writes files beside the format {companion.format}, which is not written",
                f"add it: --to {','.join([*formats, companion.format])}",
            )
        found.append(companion)
    return found


def check_companions(
    chosen: Iterable[Companion], model: AnyModel, checkpoint: Checkpoint, options: WriteOptions
) -> None:
    """Refuse companions that cannot be written, before any work.

    Raises:
        UnsupportedError: the engine does not run this model.
        MissingExtraError: a package that writing needs is not installed.
    """
    for companion in chosen:
        if isinstance(model, EncoderModel):
            raise UnsupportedError(
                f"--{companion.name} is for models that generate text, and this one does not",
                f"export it without --{companion.name}",
            )
        if checkpoint.tokenizer_json is None:
            raise UnsupportedError(
                f"{companion.engine} wants a tokenizer, and the checkpoint has none",
                f"add its tokenizer.json, or export it without --{companion.name}",
            )
        companion.check(model, checkpoint, options)


def write_companions(
    chosen: Iterable[Companion], bundle: Path, checkpoint: Checkpoint, options: WriteOptions, progress: Progress
) -> None:
    """Write what was checked."""
    for companion in chosen:
        progress.start(f"Writing files for {companion.engine}", None)
        try:
            companion.write(bundle, checkpoint, options)
        finally:
            progress.finish()


@contextmanager
def packages_of(companion: Companion) -> Iterator[None]:
    """Say of a package that cannot be imported within which extra brings it: the one of the companion's name.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "", f"export --{companion.name}", companion.name) from error

"""Writes a bundle so that it is whole or absent: built beside its place, hashed, and renamed into it at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.bundle import Bundle
from edgekit.bundle_names import MANIFEST, PREFIXES
from edgekit.errors import EdgekitError, UsageError
from edgekit.hashing import sha256_of
from edgekit.manifest import FileEntry, Manifest
from edgekit.progress import Progress, Silent
from edgekit.staging import LockedError, Staging, rename, sync_file, sync_folder

if TYPE_CHECKING:
    from types import TracebackType

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class BundleWriter:
    """A context manager: put files below `folder`, then call `write` once.

    Leaving it by an exception, Ctrl-C included, removes everything and leaves an old bundle as it was. A killed
    process leaves a sibling folder `.NAME.edgekit-partial`, which the next export to the same output removes.

    Raises:
        UsageError: the output exists and `force` is not given, or it must not be replaced.
        EdgekitError: the output cannot be written, or another export is writing it; inside of the block, an OSError
            that says the disk is full, or that concerns a file of the bundle, becomes one as well.
    """

    def __init__(self, output: str | os.PathLike[str], force: bool = False) -> None:
        self.output = Path(output)
        self.force = force
        resolved = self.output.resolve()
        if not resolved.name:
            raise UsageError(f"the output {self.output} is the root of a disk", "choose a folder with -o")
        self._staging = Staging(resolved)
        self._made: list[Path] = []

    @property
    def folder(self) -> Path:
        """Where the bundle's files go."""
        return self._staging.new

    def __enter__(self) -> BundleWriter:
        try:
            self._check_output()
            self._make_parents()
            self._staging.open()
            self._check_output()  # again: `open` may have put an old bundle back
        except BaseException as error:
            self._clean_up(success=False)
            if isinstance(error, LockedError):
                hint = "wait until it is done, or choose another output with -o"
                raise EdgekitError(f"another export is writing {self.output}", hint) from error
            if isinstance(error, OSError):
                raise self._explain(error) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clean_up(success=error is None)
        if isinstance(error, OSError) and not isinstance(error, EdgekitError) and self._concerns_us(error):
            raise self._explain(error) from error

    def write(self, manifest: Manifest, progress: Progress | None = None) -> Manifest:
        """Hash every file below `folder`, write the manifest and rename the bundle into place.

        Args:
            manifest: its `files` are ignored and made anew.
            progress: told the bytes that are hashed.

        Returns:
            The manifest as it was written.
        """
        written = dataclasses.replace(manifest, files=_entries(self.folder, progress or Silent()))
        path = self.folder / MANIFEST
        path.write_bytes(written.to_bytes())
        sync_file(path)
        sync_folder(self.folder)
        self._commit()
        return written

    def _commit(self) -> None:
        staging = self._staging
        self._check_output()
        try:
            if os.path.lexists(staging.output):
                rename(staging.output, staging.old)
            rename(staging.new, staging.output)
        except BaseException:
            staging.recover()
            raise
        sync_folder(staging.output.parent)

    def _make_parents(self) -> None:
        parent = self._staging.output.parent
        for folder in reversed([parent, *parent.parents]):
            if not folder.exists():
                folder.mkdir()
                self._made.append(folder)

    def _check_output(self) -> None:
        target = self._staging.output
        if target.is_dir():
            if not self.force:
                raise UsageError(
                    f"the output {self.output} exists", "replace it with --force, or choose another with -o"
                )
            if any(target == kept or target in kept.parents for kept in _kept_folders()):
                raise UsageError(
                    f"the output {self.output} is the current or the home folder, or holds it",
                    "choose a folder of its own with -o",
                )
        elif os.path.lexists(target):
            raise UsageError(f"the output {self.output} is a file", "choose a folder that does not exist with -o")

    def _clean_up(self, *, success: bool) -> None:
        self._staging.close()
        if not success:
            for folder in reversed(self._made):
                with contextlib.suppress(OSError):  # someone put something there meanwhile
                    folder.rmdir()

    def _concerns_us(self, error: OSError) -> bool:
        if error.errno in {*_FULL, errno.EFBIG} or _is_short_write(error):
            return True
        names = [name for name in (error.filename, error.filename2) if isinstance(name, (str, os.PathLike))]
        here = (self._staging.folder, self._staging.output)
        return any(Path(name).resolve().is_relative_to(place) for name in names for place in here)

    def _explain(self, error: OSError) -> EdgekitError:
        if error.errno in _FULL or _is_short_write(error):
            free = _free_bytes(self._staging.output)
            message = f"the disk is full: {self.output} did not fit, {free / 1e6:,.0f} MB are free now"
            return EdgekitError(message, "free some space, or choose an output on another disk with -o")
        if error.errno == errno.EFBIG:
            message = f"a file of {self.output} is larger than the file system or a limit of this account allows"
            return EdgekitError(
                message, "choose an output on another disk with -o (FAT32 ends at 4 GB), or see ulimit -f"
            )
        reason = error.strerror or str(error)
        return EdgekitError(
            f"cannot write {self.output}: {reason}", "check the permissions of the folder it lies in, or choose another"
        )


def draft(folder: Path, manifest: Manifest, progress: Progress | None = None) -> Bundle:
    """Return what lies in a folder as a bundle that can be tried before it is written; `manifest` lacks the files."""
    return Bundle(folder, dataclasses.replace(manifest, files=_entries(folder, progress or Silent())))


def replace_manifest(bundle: Bundle, manifest: Manifest) -> Bundle:
    """Replace the manifest of a bundle atomically and return the bundle with it.

    Raises:
        EdgekitError: it cannot be written; the old one is still there.
    """
    path = bundle.path / MANIFEST
    temporary = path.with_name(f".{MANIFEST}.{os.getpid()}")
    raw = manifest.to_bytes()
    try:
        try:
            temporary.write_bytes(raw)
            sync_file(temporary)
            temporary.replace(path)
            sync_folder(bundle.path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        message = f"{path}: cannot be replaced: {error.strerror or error}"
        raise EdgekitError(message, "check the permissions of the bundle and the free space") from error
    return Bundle(bundle.path, manifest)


def _entries(folder: Path, progress: Progress) -> dict[str, FileEntry]:
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    sizes = {
        name: path.stat().st_size
        for name, path in paths.items()
        if path.is_file() and name != MANIFEST and not name.startswith(f"{PREFIXES}/")
    }
    for path in filter(Path.is_dir, paths.values()):
        sync_folder(path)
    progress.start("Hashing files", sum(sizes.values()))
    try:
        entries = {}
        for name, size in sizes.items():
            entries[name] = FileEntry(size=size, sha256=sha256_of(paths[name], progress))
            sync_file(paths[name])
    finally:
        progress.finish()
    return entries


def _kept_folders() -> list[Path]:
    return [Path.cwd(), Path(os.path.expanduser("~")).resolve()]  # noqa: PTH111 - Path.home raises where there is none


def _is_short_write(error: OSError) -> bool:
    # numpy's tofile says only this when the disk is full, without an errno.
    return error.errno is None and "requested and" in str(error)


def _free_bytes(path: Path) -> int:
    for folder in path.parents:
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0

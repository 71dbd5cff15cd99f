"""Which names the files of a bundle may have: relative, inside the folder, and the same file on every system."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MANIFEST = "edgekit.json"
PREFIXES = "prefixes"

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"|?*\\]')
# "Naming Files, Paths, and Namespaces" of the Windows documentation: with any extension these open a device.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL)


def name_problem(name: str) -> str | None:
    """Return what is wrong with a file's name in a manifest, None if nothing is."""
    if not name or len(name) > 1024:
        return "is empty" if not name else f"has {len(name)} characters"
    if name.startswith("/"):
        return "is absolute"
    if found := _FORBIDDEN.search(name):
        return f"holds the character {found[0]!a}"
    parts = name.split("/")
    for part in parts:
        if part in ("", ".", ".."):
            return "leaves the folder" if part == ".." else "has an empty or '.' component"
        if part[-1] in ". ":
            return "has a component that ends in a dot or space"
        if _DEVICES.fullmatch(part.rstrip()) or _DEVICES.fullmatch(part.split(".")[0].rstrip()):
            return f"is the device {part} on Windows"
        if len(part.encode("utf-8")) > 255:
            return "has a component of more than 255 bytes"
    if _folded(name) == MANIFEST:
        return "is the manifest itself"
    if _folded(parts[0]) == PREFIXES:
        return f"lies in {PREFIXES}/, which is not listed"
    return None


def collision(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that some file system takes for one file, or for a file and its own folder."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        folded = _folded(name)
        parts = folded.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        for other in (files.get(folded), folders.get(folded), *(files.get(folder) for folder in above)):
            if other is not None:
                return other, name
        files[folded] = name
        folders.update(dict.fromkeys(above, name))
    return None


def _folded(name: str) -> str:
    # Windows ignores case; macOS ignores case and the way an accent is composed.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

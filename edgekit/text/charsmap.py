"""Sentencepiece's table of what replaces what (`precompiled_charsmap`), as the crate spm_precompiled reads it.

A length in bytes, that many bytes of a double-array trie, and the replacements, each ended by a zero byte. A unit of
the trie is 32 bits: https://github.com/s-yata/darts-clone.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.text.aligned import AlignedText, Change
from edgekit.text.graphemes import graphemes

_SHORT = 6
"""Clusters of fewer bytes are looked up as a whole."""


class CharsMap:
    """Replaces characters, and clusters of a few, by others."""

    def __init__(self, packed: str) -> None:
        """Read a table.

        Raises:
            ValueError: it is damaged.
        """
        try:
            raw = base64.b64decode(packed, validate=True)
        except binascii.Error as error:
            raise ValueError(f"no base64: {error}") from error
        size = int.from_bytes(raw[:4], "little")
        if len(raw) < 8 or size < 4 or size % 4 or size > len(raw) - 4:
            raise ValueError(f"a trie of {size:,} bytes in {len(raw):,}")
        self._units: list[int] = np.frombuffer(raw, "<u4", size // 4, 4).tolist()
        self._replacements = raw[4 + size :]
        self._replacements.decode("utf-8")
        self._known: dict[str, str | None] = {}

    def normalize(self, text: AlignedText) -> None:
        """Replace what the table has.

        Raises:
            EdgekitError: the table is damaged.
        """
        changes: list[Change] = []
        changed = False
        for cluster in graphemes(text.text):
            short = len(cluster) == 1 or len(cluster.encode()) < _SHORT
            if short and (new := self._replacement(cluster)) is not None:
                changed = True
                _replace(changes, len(cluster), new)
                continue
            for character in cluster:
                if (new := self._replacement(character)) is not None:
                    changed = True
                    _replace(changes, 1, new)
                else:
                    changes.append((character, 0))
        if changed:
            text.transform(changes)

    def _replacement(self, text: str) -> str | None:
        if text not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[text] = self._find(text.encode())
        return self._known[text]

    def _find(self, key: bytes) -> str | None:
        """Return what replaces the shortest key that this one begins with, None where there is none."""
        at = 0
        try:
            at ^= _offset(self._units[at])
            for byte in key:
                if byte == 0:
                    return None
                at ^= byte
                unit = self._units[at]
                if unit & 0x8000_00FF != byte:
                    return None
                at ^= _offset(unit)
                if unit >> 8 & 1:
                    start = self._units[at] & 0x7FFF_FFFF
                    stop = self._replacements.find(b"\0", start)
                    return self._replacements[start : stop if stop >= 0 else None].decode("utf-8")
        except (IndexError, UnicodeDecodeError) as error:
            raise EdgekitError("the tokenizer's precompiled_charsmap is damaged", "copy or export it again") from error
        return None


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)


def _replace(changes: list[Change], old: int, new: str) -> None:
    """Add the changes for `old` characters that become others."""
    changes += [(character, 0) for character in new]
    more = len(new) - old
    if more > 0:
        changes[-more:] = [(character, 1) for character, _ in changes[-more:]]
    elif more < 0 and changes:
        # What becomes nothing is taken away by the character in front of it, whichever that is.
        changes[-1] = (changes[-1][0], changes[-1][1] + more)

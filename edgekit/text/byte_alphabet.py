"""GPT-2's alphabet, in which every byte is a visible character (`bytes_to_unicode` of its encoder.py)."""

from __future__ import annotations

from edgekit.text.aligned import AlignedText

_VISIBLE = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]

CHARACTER_OF = {byte: chr(byte) for byte in _VISIBLE} | {byte: chr(256 + at) for at, byte in enumerate(_HIDDEN)}
BYTE_OF = {character: byte for byte, character in CHARACTER_OF.items()}


def spread_bytes(text: AlignedText) -> None:
    """Write each byte of a text (UTF-8) as a character of the alphabet."""
    raw = text.text.encode()
    written = raw.decode("latin-1").translate(CHARACTER_OF)
    if len(raw) == len(text.text):
        text.map_to(written)
    else:
        at = 0
        changes = []
        for character in text.text:
            for index in range(len(character.encode())):
                changes.append((written[at], min(index, 1)))
                at += 1
        text.transform(changes)

"""Cuts a text into what a reader sees as characters: extended grapheme clusters (https://unicode.org/reports/tr29/)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from edgekit.text.characters import Characters, characters


def graphemes(text: str) -> Iterator[str]:
    """Yield the clusters of a text."""
    if text.isascii() and "\r\n" not in text:
        return iter(text)
    return (match.group() for match in _clusters().finditer(text))


@cache
def _clusters() -> re.Pattern[str]:
    """Return the expression of table 1b and 1c."""
    found = {name: characters(f"break_{name}") for name in ("L", "V", "T", "LV", "LVT", "Prepend", "Extend")}
    sets = {name: part.pattern() for name, part in found.items()}
    marks = found["Extend"] | characters("break_SpacingMark") | Characters.from_text("\u200d")
    regional = characters("break_Regional_Indicator").pattern()
    control = (characters("break_Control") | Characters.from_text("\r\n")).pattern()
    consonant = characters("conjunct_consonant").pattern()
    linker = characters("conjunct_linker").pattern()
    between = (found["Extend"] | Characters.from_text("\u200d") | characters("conjunct_linker")).pattern()
    picture = characters("pictographic").pattern()
    cores = (
        f"{sets['L']}*(?:{sets['V']}+|{sets['LV']}{sets['V']}*|{sets['LVT']}){sets['T']}*|{sets['L']}+|{sets['T']}+",
        f"{regional}{regional}",
        f"{picture}(?:{sets['Extend']}*\u200d{picture})+",
        f"{consonant}(?:(?={between}*?{linker}){between}+{consonant})+",
        f"(?!{control})[\\s\\S]",
    )
    core = "|".join(cores)
    return re.compile(f"\r\n|{control}|{sets['Prepend']}*(?:{core}){marks.pattern()}*|{sets['Prepend']}+")

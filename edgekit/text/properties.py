"""The names of sets of characters in regular expressions, and what they mean to Oniguruma."""

from __future__ import annotations

from edgekit.text.characters import WHITE_SPACE, Characters, characters

ANY = ~Characters(())
"""All characters."""
CATEGORIES = (
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
    "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co",
)  # fmt: skip
"""The general categories of Unicode, but Cn: all that is in none of these."""
SCRIPTS = (
    "Arabic", "Armenian", "Bengali", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Greek", "Gujarati", "Gurmukhi",
    "Han", "Hangul", "Hebrew", "Hiragana", "Kannada", "Katakana", "Khmer", "Lao", "Latin", "Malayalam", "Mongolian",
    "Myanmar", "Sinhala", "Tamil", "Telugu", "Thai", "Tibetan",
)  # fmt: skip
_LONG = {
    "letter": "L", "mark": "M", "number": "N", "punctuation": "P", "symbol": "S", "separator": "Z", "other": "C",
    "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt", "modifierletter": "Lm",
    "otherletter": "Lo", "nonspacingmark": "Mn", "spacingmark": "Mc", "enclosingmark": "Me", "decimalnumber": "Nd",
    "letternumber": "Nl", "othernumber": "No", "spaceseparator": "Zs", "control": "Cc", "format": "Cf",
    "punct": "P",
}  # fmt: skip
_HEX = Characters.from_text("0123456789abcdefABCDEF")


def category(name: str) -> Characters:
    """Return the characters of a general category, Cn among them, or of all that begin with a letter."""
    if name == "Cn":
        return ~Characters.of(span for known in CATEGORIES for span in characters(known).spans)
    if name == "C":
        return characters("Cc") | characters("Cf") | characters("Co") | category("Cn")
    found = [known for known in CATEGORIES if known.startswith(name)]
    return Characters.of(span for known in found for span in characters(known).spans)


def named_property(name: str) -> Characters | None:
    """Return the characters of a property, None where it is not known here."""
    plain = name.lower().replace("_", "").replace(" ", "").replace("-", "")
    if plain == "any":
        return ANY
    key = _LONG.get(plain, plain.capitalize())
    if plain == "word":
        return characters("word")
    if key in SCRIPTS:
        return characters(key)
    if key in ("L", "M", "N", "P", "S", "Z", "C", "Cn") or key in CATEGORIES:
        return category(key)
    return bracket_class(plain)


def bracket_class(name: str) -> Characters | None:
    """Return the characters of [:name:], None where it is not known here."""
    if name in ("alpha", "punct"):
        return characters(name)
    short = {"space": "s", "digit": "d", "xdigit": "h"}.get(name)
    return None if short is None else escaped_class(short)


def escaped_class(sign: str) -> Characters:
    """Return the characters of a backslash and s, d, w or h."""
    if sign == "s":
        return WHITE_SPACE
    if sign == "h":
        return _HEX
    return category("Nd") if sign == "d" else characters("word")

"""Writes edgekit/text/unicode_tables.py: the properties of characters as the package tokenizers has them.

    .venv/bin/python -m pip install regex==2025.11.3 && .venv/bin/python tools/unicode_tables.py

The package is made of crates that know different versions of Unicode, and none is the one of a given Python. So each
property is measured: the package is asked about every character. Only how characters join to what a reader sees as one
(UAX 29) cannot be asked for; it comes from the package regex, and is checked where it can be.
"""

from __future__ import annotations

import base64
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

from edgekit.text.properties import CATEGORIES, SCRIPTS

CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
TEXT = "".join(CHARACTERS)
BREAKS = ("Control", "Extend", "Prepend", "SpacingMark", "L", "V", "T", "LV", "LVT", "Regional_Indicator")

HEADER = '''"""Properties of characters, measured by tools/unicode_tables.py: do not edit.

Each is the base85 of zlib of varints: how far a range begins behind the end of the last one, and how long it is.
"""

from __future__ import annotations

'''


def main() -> None:
    """Measure everything and write the module."""
    sets = dict(expressions()) | dict(functions()) | dict(graphemes())
    lines = [HEADER, "TABLES = {\n"]
    lines += [f'    "{name}": ({literal(ranges(found))}),\n' for name, found in sorted(sets.items())]
    lines += [
        "}\n\n",
        "# Of characters with another lower case: the gap to the last one, and twice the distance, odd downwards.\n",
    ]
    lines += [f"LOWER = ({literal(lower_case())})\n"]
    target = Path(__file__).parents[1] / "edgekit" / "text" / "unicode_tables.py"
    target.write_text("".join(lines), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(target)], check=True)


def expressions() -> Iterator[tuple[str, set[str]]]:
    """Yield what Oniguruma says: it runs the regular expressions of `Split` and `Replace`."""
    for name in (*CATEGORIES, *SCRIPTS):
        yield name, matched(rf"\p{{{name}}}+")
    yield "word", matched(r"\w+")
    yield "alpha", matched(r"[[:alpha:]]+")
    yield "punct", matched(r"[[:punct:]]+")


def matched(pattern: str) -> set[str]:
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return {character for piece, _ in split.pre_tokenize_str(TEXT) for character in piece}


def functions() -> Iterator[tuple[str, set[str]]]:
    """Yield what the other crates say, each asked through the component that uses it."""
    pieces = pre_tokenizers.Whitespace().pre_tokenize_str(" ".join("a" + character for character in CHARACTERS))
    yield "word_rust", {piece[1] for piece, _ in pieces if len(piece) == 2}
    pieces = pre_tokenizers.Digits(individual_digits=False).pre_tokenize_str("x" + "x".join(CHARACTERS) + "x")
    yield "numeric", {piece for piece, _ in pieces if len(piece) == 1} - {"x"}
    kept = pre_tokenizers.Punctuation("removed").pre_tokenize_str(TEXT)
    yield "punctuation", set(CHARACTERS) - {character for piece, _ in kept for character in piece}
    clean = normalizers.BertNormalizer(handle_chinese_chars=False, strip_accents=False, lowercase=False)
    yield "control", where(lambda character: clean.normalize_str(f"a{character}b") == "ab")
    plain = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
    )
    yield "nonspacing", where(lambda character: plain.normalize_str(character) == "")
    yield "mark", where(lambda character: normalizers.StripAccents().normalize_str(character) == "")
    canonical, compatible = normalizers.NFD(), normalizers.NFKD()
    yield "nfd", where(lambda character: canonical.normalize_str(character) != character)
    yield "nfkd", where(lambda character: compatible.normalize_str(character) != character)
    yield (
        "reordered",
        where(lambda character: canonical.normalize_str("\u0345" + character)[0] != "\u0345") | {"\u0345"},
    )


def where(holds: Callable[[str], bool]) -> set[str]:
    return {character for character in CHARACTERS if holds(character)}


def graphemes() -> Iterator[tuple[str, set[str]]]:
    """Yield the properties that say where characters join."""
    for name in BREAKS:
        yield f"break_{name}", known(f"GCB={name}")
    yield "pictographic", known("Extended_Pictographic")
    yield "conjunct_consonant", known("InCB=Consonant")
    yield "conjunct_linker", known("InCB=Linker")
    expected = known("GCB=Extend") | known("GCB=SpacingMark") | {"\u200d"}
    if joined() != expected:
        raise SystemExit(f"the package regex knows another Unicode: {sorted(map(hex, map(ord, joined() ^ expected)))}")


def joined() -> set[str]:
    """Return what joins to a letter in front of it, as the package tokenizers sees it."""
    rules = precompiled()
    return where(lambda character: rules.normalize_str(f"a{character}") == "X")


def known(name: str) -> set[str]:
    import regex

    return set(regex.findall(rf"\p{{{name}}}", TEXT))


def precompiled() -> normalizers.Precompiled:
    """Return sentencepiece's table with one rule, a becomes X; what joins to the a disappears with it."""
    units = [0x8000_00FF] * 512
    units[0], units[0x161], units[0x160] = 0x100 << 10, ord("a") | 1 << 8 | 1 << 10, 1 << 31
    return normalizers.Precompiled(struct.pack("<I", 4 * len(units)) + struct.pack("<512I", *units) + b"X\0")


def ranges(found: Iterable[str]) -> Iterator[int]:
    end = 0
    for start, stop in spans(sorted(map(ord, found))):
        yield start - end
        yield stop - start
        end = stop


def spans(codes: list[int]) -> Iterator[tuple[int, int]]:
    for index, code in enumerate(codes):
        if not index or codes[index - 1] != code - 1:
            start = code
        if index + 1 == len(codes) or codes[index + 1] != code + 1:
            yield start, code + 1


def lower_case() -> Iterator[int]:
    lower, last = normalizers.Lowercase(), 0
    for character in CHARACTERS:
        if (small := lower.normalize_str(character)) != character and len(small) == 1:
            distance = ord(small) - ord(character)
            yield ord(character) - last
            yield 2 * distance if distance > 0 else -2 * distance + 1
            last = ord(character)


def literal(numbers: Iterable[int]) -> str:
    raw = bytearray()
    for number in numbers:
        while number >= 0x80:
            raw.append(number & 0x7F | 0x80)
            number >>= 7
        raw.append(number)
    text = base64.b85encode(zlib.compress(bytes(raw), 9)).decode("ascii")
    lines = [text[at : at + 100] for at in range(0, len(text), 100)]
    return "\n        " + "\n        ".join(f'"{line}"' for line in lines) + "\n    "


if __name__ == "__main__":
    main()

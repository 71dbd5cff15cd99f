"""Texts of every kind, as many as asked for and the same ones each time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from random import Random

_PROSE = """
the quick brown fox doesn't jump over lazy dogs I'll we've they're HTTP JSON naïve café Größe été señor
straße Привет мир κόσμος ΣΊΣΥΦΟΣ İstanbul Iğdır שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดี ชาวโลก ለምን 你好 世界
日本語 テキスト 한국어 안녕하세요 Tiếng Việt 3.14159 1,000,000 2024-11-27 0xFF x=y+1; def f(x): return <div>
https://example.com/a?b=c#d
"""
WORDS = _PROSE.split()
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \t ", "\u00a0", "\u3000", "\u2028", "\u200b", "", ""]
CLUSTERS = (
    "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇩🇪🇫", "👍🏽", "e\u0301", "a\u0328\u0301", "\u0323\u0301", "\u1100\u1161\u11a8", "각",
    "ﬁ", "㎏", "½", "ⅷ", "ǆ", "ß", "ẞ", "ſ", "\u212a", "\u0344", "\u0f73", "क्षि", "\ufeff", "\ufffd", "\x00",
    "\x1f", "\x7f", "\x85", "\xad", "\u200d", "\ufe0f", "\u202e", "\U000e0001", "\U0010ffff", "\ue000", "\u0378",
    "▁", "Ġ", "</w>", "##ing", "''", "…", "“”", "—", "\u1e9b\u0323", "\ufb2c", "\ufdfa", "\u3099", "か\u3099",
    "\u2126", "\U0001d15f", "\u0e33", "\u0600a", "\r\n\u0301", "٣", "²",
)  # fmt: skip
SPECIAL = (
    "<s>", "</s>", "<unk>", "<|endoftext|>", "<|user|>", "<|end|>", "<|im_start|>", "<|startoftext|>", "[CLS]",
    "[SEP]", "[MASK]", "<0x41>", "<0xE2>", "<|added word|>", "→", "<h1>", ">>TITLE<<", "(#0)", "<=>",
)  # fmt: skip


def varied_texts(count: int, seed: int, longest: int = 40) -> Iterator[str]:
    """Yield texts of up to `longest` pieces: words, spaces, marks, special tokens, and any characters at all."""
    draw = Random(seed)
    for _ in range(count):
        kinds = [draw.choice(_KINDS) for _ in range(draw.choice((1, 1, 2, 3)))]
        yield "".join(draw.choice(kinds)(draw) for _ in range(draw.randint(0, longest)))


def _word(draw: Random) -> str:
    word = draw.choice(WORDS)
    change = draw.randint(0, 9)
    if change == 0:
        return word.upper()
    if change == 1:
        return unicodedata.normalize(draw.choice(("NFD", "NFKD")), word)
    return word + draw.choice(SPACES)


def _letters(draw: Random) -> str:
    return draw.choice("aabcdeeefghiijklmnoopqrsttuvwxyzAEIOST") * draw.choice((1, 1, 1, 2, 9))


def _anywhere(draw: Random) -> str:
    """Return a character of the planes that have some, or of a narrow window, so that neighbours belong together."""
    code = draw.choice(
        (draw.randrange(0x3000), draw.randrange(0x10000), draw.randrange(0x1FBFF), 0x1F300 + draw.randrange(800))
    )
    return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"


_KINDS = (
    _word,
    _word,
    _letters,
    _anywhere,
    lambda draw: draw.choice(SPACES) * draw.choice((1, 1, 3)),
    lambda draw: draw.choice(CLUSTERS),
    lambda draw: draw.choice(SPECIAL),
    lambda draw: draw.choice("0123456789.,-+"),
    lambda draw: draw.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    lambda draw: chr(0x300 + draw.randrange(0x70)),
    lambda draw: chr(draw.choice((0x600, 0x900, 0x1100, 0x3040, 0x4E00, 0xAC00)) + draw.randrange(0x60)),
)

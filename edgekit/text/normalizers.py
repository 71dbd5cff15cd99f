"""What happens to a text before it is cut: one function of an `AlignedText` for each kind of normalizer."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from edgekit.text.aligned import AlignedText, Change
from edgekit.text.byte_alphabet import spread_bytes
from edgekit.text.characters import WHITE_SPACE, Characters, characters, lower_case
from edgekit.text.charsmap import CharsMap
from edgekit.text.document import Section
from edgekit.text.unicode_forms import Form, changes_of

Normalizer = Callable[[AlignedText], None]

_CHINESE = Characters.of(
    [
        (0x4E00, 0xA000), (0x3400, 0x4DC0), (0x20000, 0x2A6E0), (0x2A700, 0x2B740), (0x2B740, 0x2B820),
        (0x2B920, 0x2CEB0), (0xF900, 0xFB00), (0x2F800, 0x2FA20),
    ]
)  # fmt: skip
_NMT_REMOVED = Characters.of([(0x1, 0x9), (0xB, 0xC), (0xE, 0x20), (0x7F, 0x80), (0x8F, 0x90), (0x9F, 0xA0)])
_NMT_SPACES = str.maketrans(
    dict.fromkeys("\t\n\f\r\u1680\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2581\ufeff\ufffd", " ")
)
_SPACES = str.maketrans(dict.fromkeys(WHITE_SPACE, " "))


def build_normalizer(section: Section) -> Normalizer:
    """Return the normalizer that a section of tokenizer.json describes.

    Raises:
        UnsupportedError: it is of a kind that is not known here.
        BundleError: it is damaged.
    """
    return section.choose(_KINDS, "normalizer")(section)


def _sequence(section: Section) -> Normalizer:
    return _in_turn([build_normalizer(inside) for inside in section.sections("normalizers")])


def _in_turn(steps: list[Normalizer]) -> Normalizer:
    def normalize(text: AlignedText) -> None:
        for step in steps:
            step(text)

    return normalize


def _form(form: Form) -> Callable[[Section], Normalizer]:
    def normalize(text: AlignedText) -> None:
        changes = changes_of(form, text.text)
        if changes is not None:
            text.transform(changes)

    return lambda _section: normalize


def _bert(section: Section) -> Normalizer:
    lower = section.flag("lowercase")
    accents = section.get("strip_accents", bool, lower)
    steps: list[Normalizer] = []
    if section.flag("clean_text"):
        removed = characters("control") | Characters.from_text("\0\ufffd")
        steps += [_removing(removed), lambda text: text.map_to(text.text.translate(_SPACES))]
    if section.flag("handle_chinese_chars"):
        steps.append(_part_chinese)
    if accents:
        steps += [_form("NFD")(section), _removing(characters("nonspacing"))]
    if lower:
        steps.append(_lower)
    return _in_turn(steps)


def _removing(removed: Characters) -> Normalizer:
    found = re.compile(removed.pattern())

    def normalize(text: AlignedText) -> None:
        if found.search(text.text) is not None:
            text.keep([place for place, character in enumerate(text.text) if found.match(character) is None])

    return normalize


@cache
def _chinese() -> re.Pattern[str]:
    return re.compile(_CHINESE.pattern())


def _part_chinese(text: AlignedText) -> None:
    """Put spaces around every Chinese character, so that it becomes a word."""
    found = _chinese()
    if text.text.isascii() or found.search(text.text) is None:
        return
    changes: list[Change] = []
    for character in text.text:
        changes += [(" ", 0), (character, 1), (" ", 1)] if found.match(character) else [(character, 0)]
    text.transform(changes)


def _lower(text: AlignedText) -> None:
    table = lower_case()
    if "\u0130" not in text.text:
        text.map_to(text.text.lower() if text.text.isascii() else text.text.translate(table))
        return
    changes: list[Change] = []
    for whole in text.text:
        changes += [(character, min(index, 1)) for index, character in enumerate(whole.translate(table))]
    text.transform(changes)


def _strip(section: Section) -> Normalizer:
    left, right = section.flag("strip_left"), section.flag("strip_right")
    spaces = "".join(WHITE_SPACE)

    def normalize(text: AlignedText) -> None:
        start = len(text.text) - len(text.text.lstrip(spaces)) if left else 0
        stop = len(text.text.rstrip(spaces)) if right else len(text.text)
        if start > 0 or stop < len(text.text):
            text.keep(range(start, stop))

    return normalize


def _prepend(section: Section) -> Normalizer:
    content = section.text("prepend")
    return lambda text: text.prepend(content)


def _replace(section: Section) -> Normalizer:
    expression, content = section.expression("pattern"), section.text("content")
    return lambda text: text.replace(expression.spans(text.text), content)


def _nmt(_section: Section) -> Normalizer:
    return _in_turn([_removing(_NMT_REMOVED), lambda text: text.map_to(text.text.translate(_NMT_SPACES))])


def _precompiled(section: Section) -> Normalizer:
    try:
        return CharsMap(section.text("precompiled_charsmap")).normalize
    except ValueError as error:
        section.refuse("precompiled_charsmap", f"is damaged: {error}")


_KINDS: dict[str, Callable[[Section], Normalizer]] = {
    "Sequence": _sequence,
    "NFC": _form("NFC"),
    "NFD": _form("NFD"),
    "NFKC": _form("NFKC"),
    "NFKD": _form("NFKD"),
    "BertNormalizer": _bert,
    "Lowercase": lambda _section: _lower,
    "StripAccents": lambda _section: _removing(characters("mark")),
    "Strip": _strip,
    "Prepend": _prepend,
    "Replace": _replace,
    "Nmt": _nmt,
    "Precompiled": _precompiled,
    "ByteLevel": lambda _section: spread_bytes,
}

"""Cuts a text into words before the model sees it: one function of an `AlignedText` for each kind of pre-tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from edgekit.text.aligned import AlignedText
from edgekit.text.byte_alphabet import spread_bytes
from edgekit.text.characters import ASCII_PUNCTUATION, WHITE_SPACE, Characters, characters
from edgekit.text.document import Section
from edgekit.text.expressions import Expression, compile_expression, literal, one_of, runs_of
from edgekit.text.splitting import BEHAVIORS, split

PreTokenizer = Callable[[AlignedText], list[AlignedText]]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How GPT-2 cuts (its encoder.py), and `ByteLevel` unless told otherwise."""


def build_pre_tokenizer(section: Section) -> PreTokenizer:
    """Return the pre-tokenizer that a section of tokenizer.json describes.

    Raises:
        UnsupportedError: it is of a kind that is not known here.
        BundleError: it is damaged.
    """
    return section.choose(_KINDS, "pre-tokenizer")(section)


def _sequence(section: Section) -> PreTokenizer:
    return _in_turn(*map(build_pre_tokenizer, section.sections("pretokenizers")))


def _in_turn(*steps: PreTokenizer) -> PreTokenizer:
    def cut(text: AlignedText) -> list[AlignedText]:
        parts = [text]
        for step in steps:
            parts = [after for part in parts for after in step(part)]
        return parts

    return cut


def _splitting(expression: Expression, behavior: str, *, invert: bool = False) -> PreTokenizer:
    return lambda text: split(text, expression.spans(text.text), behavior, invert=invert)


@cache
def _gpt2() -> PreTokenizer:
    return _splitting(compile_expression(GPT2), "Isolated")


@cache
def _whitespace_split() -> PreTokenizer:
    return _splitting(one_of(WHITE_SPACE), "Removed")


@cache
def _punctuation_characters() -> Characters:
    return ASCII_PUNCTUATION | characters("punctuation")


def _bert(_section: Section) -> PreTokenizer:
    return _in_turn(_whitespace_split(), _splitting(one_of(_punctuation_characters()), "Isolated"))


@cache
def _whitespace() -> PreTokenizer:
    word = characters("word_rust")
    other = ~(word | WHITE_SPACE)
    return _splitting(runs_of(word, other), "Removed", invert=True)


def _byte_level(section: Section) -> PreTokenizer:
    space = section.flag("add_prefix_space")
    cut = _gpt2() if section.flag("use_regex", True) else None

    def level(text: AlignedText) -> list[AlignedText]:
        if space and not text.text.startswith(" "):
            text.prepend(" ")
        parts = [text] if cut is None else cut(text)
        for part in parts:
            spread_bytes(part)
        return parts

    return level


def _metaspace(section: Section) -> PreTokenizer:
    mark = section.character("replacement")
    scheme = section.text("prepend_scheme", "always")
    if scheme not in ("first", "never", "always"):
        section.refuse("prepend_scheme", f"is {scheme!r:.40}, expected first, never or always")
    if not section.flag("add_prefix_space", True) and scheme != "never":
        section.refuse("add_prefix_space", f"is false, which contradicts prepend_scheme {scheme!r}")
    cut = _splitting(literal(mark), "MergedWithNext") if section.flag("split", True) else None

    def spaces(text: AlignedText) -> list[AlignedText]:
        text.text = text.text.replace(" ", mark)
        if not text.text.startswith(mark) and (scheme == "always" or (scheme == "first" and text.begin == 0)):
            text.prepend(mark)
        return [text] if cut is None else cut(text)

    return spaces


def _punctuation(section: Section) -> PreTokenizer:
    return _splitting(one_of(_punctuation_characters()), _behavior(section, "Isolated"))


def _digits(section: Section) -> PreTokenizer:
    behavior = "Isolated" if section.flag("individual_digits") else "Contiguous"
    return _splitting(one_of(characters("numeric")), behavior)


def _split(section: Section) -> PreTokenizer:
    return _splitting(section.expression("pattern"), _behavior(section, ...), invert=section.flag("invert"))


def _behavior(section: Section, default: object) -> str:
    behavior = section.text("behavior", default)
    if behavior not in BEHAVIORS:
        section.refuse("behavior", f"is {behavior!r:.40}, expected one of {', '.join(BEHAVIORS)}")
    return behavior


def _fixed_length(section: Section) -> PreTokenizer:
    length = section.count("length", 5)
    if length == 0:
        section.refuse("length", "is 0")
    return lambda text: [text.part(at, min(at + length, len(text.text))) for at in range(0, len(text.text), length)]


_KINDS: dict[str, Callable[[Section], PreTokenizer]] = {
    "Sequence": _sequence,
    "ByteLevel": _byte_level,
    "BertPreTokenizer": _bert,
    "Whitespace": lambda _section: _whitespace(),
    "WhitespaceSplit": lambda _section: _whitespace_split(),
    "Metaspace": _metaspace,
    "Punctuation": _punctuation,
    "Digits": _digits,
    "Split": _split,
    "CharDelimiterSplit": lambda section: _splitting(literal(section.character("delimiter")), "Removed"),
    "FixedLength": _fixed_length,
}

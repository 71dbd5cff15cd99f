"""What is put around the tokens of a text: one function of encodings for each kind of post-processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.strict_json import show
from edgekit.text.byte_alphabet import CHARACTER_OF
from edgekit.text.characters import WHITE_SPACE
from edgekit.text.document import MAX_ID, Section
from edgekit.text.encoding import Encoding

PostProcessor = Callable[[list[Encoding], bool], list[Encoding]]
"""Takes the parts of an encoding, and whether to add special tokens."""

_SPACES = "".join(WHITE_SPACE) + CHARACTER_OF[ord(" ")]
_AROUND = ("BertProcessing", "RobertaProcessing", "TemplateProcessing")


def build_post_processor(section: Section) -> PostProcessor:
    """Return the post-processor that a section of tokenizer.json describes.

    Raises:
        UnsupportedError: it is of a kind that is not known here.
        BundleError: it is damaged.
    """
    return section.choose(_KINDS, "post-processor")(section)


def _sequence(section: Section) -> PostProcessor:
    sections = list(section.sections("processors"))
    if sum(inside.kind in (*_AROUND, "Sequence") for inside in sections) > 1:
        section.unsupported("more than one post-processor that adds tokens")
    steps = [build_post_processor(inside) for inside in sections]

    def process(parts: list[Encoding], add: bool) -> list[Encoding]:
        for step in steps:
            parts = step(parts, add)
        return parts

    return process


def _byte_level(section: Section) -> PostProcessor:
    first = section.flag("add_prefix_space")
    if not section.flag("trim_offsets"):
        return lambda parts, _add: parts

    def process(parts: list[Encoding], _add: bool) -> list[Encoding]:
        for part in parts:
            _trim(part, first)
        return parts

    return process


def _trim(encoding: Encoding, space_in_front: bool) -> None:
    """Take the spaces that a token begins and ends with out of its offsets."""
    for index, (token, (start, stop)) in enumerate(zip(encoding.tokens, encoding.offsets, strict=True)):
        leading = len(token) - len(token.lstrip(_SPACES))
        trailing = len(token) - len(token.rstrip(_SPACES))
        if leading == 1 and space_in_front and (index == 0 or start == 0):
            leading = 0  # the space that was added; the text has none there
        start = min(start + leading, stop)
        if trailing and stop >= trailing:
            stop = max(stop - trailing, start)
        encoding.offsets[index] = start, stop


def _around(section: Section) -> PostProcessor:
    begin, end = _token(section, "cls"), _token(section, "sep")

    def process(parts: list[Encoding], add: bool) -> list[Encoding]:
        if not add:
            return parts
        whole = Encoding()
        for part in parts:
            whole.add(part)
        return [begin(), whole, end()]

    return process


def _roberta(section: Section) -> PostProcessor:
    around = _around(section)
    first = section.flag("add_prefix_space")
    trim = section.flag("trim_offsets")

    def process(parts: list[Encoding], add: bool) -> list[Encoding]:
        for part in parts if trim else ():
            _trim(part, first)
        return around(parts, add)

    return process


def _token(section: Section, name: str) -> Callable[[], Encoding]:
    pair = section.get(name, list)
    if len(pair) != 2 or type(pair[0]) is not str or not _is_id(pair[1]):
        section.refuse(name, f"is {show(pair)}, expected a token and its id")
    return lambda: Encoding.of_special([pair[1]], [pair[0]])


def _template(section: Section) -> PostProcessor:
    special = section.section("special_tokens") or section.inside(section.path("special_tokens"), {})
    known = {name: _special(special, name) for name in special.data}
    pieces: list[Callable[[], Encoding] | None] = []
    for piece in section.sections("single"):
        inside = piece.section("SpecialToken")
        if inside is None:
            sequence = piece.section("Sequence")
            if sequence is None or sequence.text("id") != "A":
                piece.refuse("", "is neither the text nor a special token")
            pieces.append(None)
        elif inside.text("id") in known:
            pieces.append(known[inside.text("id")])
        else:
            inside.refuse("id", f"is {show(inside.text('id'))}, which special_tokens lacks")

    def process(parts: list[Encoding], add: bool) -> list[Encoding]:
        whole = Encoding()
        for part in parts:
            whole.add(part)
        return [whole if piece is None else piece() for piece in pieces if add or piece is None]

    return process


def _special(section: Section, name: str) -> Callable[[], Encoding]:
    token = section.section(name)
    ids, tokens = (token.get("ids", list), token.get("tokens", list)) if token is not None else ([], [])
    if len(ids) != len(tokens) or not all(map(_is_id, ids)) or not all(type(text) is str for text in tokens):
        section.refuse(name, "has ids and tokens that do not go together")
    return lambda: Encoding.of_special(ids, tokens)


def _is_id(value: Any) -> bool:  # noqa: ANN401 - JSON
    return type(value) is int and 0 <= value <= MAX_ID


_KINDS: dict[str, Callable[[Section], PostProcessor]] = {
    "Sequence": _sequence,
    "ByteLevel": _byte_level,
    "BertProcessing": _around,
    "RobertaProcessing": _roberta,
    "TemplateProcessing": _template,
}

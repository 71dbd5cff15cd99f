"""How tokens become text again: one function of the tokens for each kind of decoder."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby

from edgekit.text.byte_alphabet import BYTE_OF
from edgekit.text.document import Section

Decoder = Callable[[list[str]], list[str]]

_BYTE = re.compile(r"<0x(\+?[0-9A-Fa-f]+)>")
_CLEANED = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
    (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


def build_decoder(section: Section) -> Decoder:
    """Return the decoder that a section of tokenizer.json describes.

    Raises:
        UnsupportedError: it is of a kind that is not known here.
        BundleError: it is damaged.
    """
    return section.choose(_KINDS, "decoder")(section)


def _sequence(section: Section) -> Decoder:
    steps = [build_decoder(inside) for inside in section.sections("decoders")]

    def decode(tokens: list[str]) -> list[str]:
        for step in steps:
            tokens = step(tokens)
        return tokens

    return decode


def _byte_level(tokens: list[str]) -> list[str]:
    raw = bytearray()
    for token in tokens:
        try:
            raw += bytes(map(BYTE_OF.__getitem__, token))
        except KeyError:  # an added token, which is written as it is
            raw += token.encode()
    return [raw.decode("utf-8", "replace")]


def _byte_fallback(tokens: list[str]) -> list[str]:
    """Join the bytes of tokens <0x00> to <0xFF>; a run that is no UTF-8 becomes a U+FFFD for each of them."""
    found: list[str] = []
    for is_byte, run in groupby(tokens, key=lambda token: _byte(token) is not None):
        if not is_byte:
            found += run
            continue
        raw = bytes(byte for token in run if (byte := _byte(token)) is not None)
        try:
            found.append(raw.decode("utf-8"))
        except UnicodeDecodeError:
            found += ["\ufffd"] * len(raw)
    return found


def _byte(token: str) -> int | None:
    if len(token) != 6 or len(token.encode()) != 6:
        return None
    match = _BYTE.fullmatch(token)
    return None if match is None else int(match[1], 16)


def _word_piece(section: Section) -> Decoder:
    prefix, clean = section.text("prefix"), section.flag("cleanup")

    def decode(tokens: list[str]) -> list[str]:
        found = tokens[:1]
        for token in tokens[1:]:
            found.append(token.removeprefix(prefix) if token.startswith(prefix) else f" {token}")
        return [_cleaned(token) for token in found] if clean else found

    return decode


def _cleaned(text: str) -> str:
    for old, new in _CLEANED:
        text = text.replace(old, new)
    return text


def _metaspace(section: Section) -> Decoder:
    mark = section.character("replacement")
    in_front = section.text("prepend_scheme", "always") != "never" and section.flag("add_prefix_space", True)

    def decode(tokens: list[str]) -> list[str]:
        return [token.replace(mark, "" if in_front and index == 0 else " ") for index, token in enumerate(tokens)]

    return decode


def _replace(section: Section) -> Decoder:
    expression, content = section.expression("pattern"), section.text("content")

    def replaced(token: str) -> str:
        pieces: list[str] = []
        last = 0
        for start, stop in expression.spans(token):
            pieces += (token[last:start], content)
            last = stop
        return "".join(pieces) + token[last:]

    return lambda tokens: [replaced(token) for token in tokens]


def _strip(section: Section) -> Decoder:
    content, start, stop = section.character("content"), section.count("start"), section.count("stop")

    def stripped(token: str) -> str:
        left = min(len(token) - len(token.lstrip(content)), start)
        right = min(len(token) - len(token.rstrip(content)), stop)
        return token[left : max(len(token) - right, left)]

    return lambda tokens: [stripped(token) for token in tokens]


def _word_ends(section: Section) -> Decoder:
    suffix = section.text("suffix")
    return lambda tokens: [
        token.replace(suffix, " " if index < len(tokens) - 1 else "") for index, token in enumerate(tokens)
    ]


def _ctc(section: Section) -> Decoder:
    pad, delimiter = section.text("pad_token"), section.text("word_delimiter_token")
    clean = section.flag("cleanup")

    def decode(tokens: list[str]) -> list[str]:
        found = [token.replace(pad, "") for token, _ in groupby(tokens)]
        if clean:
            found = [_cleaned(token).replace(delimiter, " ") for token in found]
        return [token for token in found if token]

    return decode


_KINDS: dict[str, Callable[[Section], Decoder]] = {
    "Sequence": _sequence,
    "ByteLevel": lambda _section: _byte_level,
    "ByteFallback": lambda _section: _byte_fallback,
    "WordPiece": _word_piece,
    "Metaspace": _metaspace,
    "Fuse": lambda _section: lambda tokens: ["".join(tokens)],
    "Strip": _strip,
    "Replace": _replace,
    "BPEDecoder": _word_ends,
    "CTC": _ctc,
}

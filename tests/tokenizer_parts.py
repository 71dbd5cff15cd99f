"""The parts of a tokenizer.json, each kind with its options, as sections of one."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from small_tokenizers import trained

Part = dict[str, Any]

BEHAVIORS = ("Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext")
BOTH = (True, False)


def document(family: str = "byte_fallback", **parts: Any) -> Part:
    """Return the tokenizer.json of a family with some parts replaced."""
    data: Part = json.loads(trained(family))
    return data | parts


def part(kind: str, **options: Any) -> Part:
    return {"type": kind, **options}


def pattern(kind: str, matched: str, source: str, **options: Any) -> Part:
    return part(kind, pattern={matched: source}, **options)


def bert(**options: Any) -> Part:
    defaults = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    return part("BertNormalizer", **defaults | options)


def split(matched: str, source: str, behavior: str, invert: bool = False) -> Part:
    return pattern("Split", matched, source, behavior=behavior, invert=invert)


def metaspace(**options: Any) -> Part:
    return part("Metaspace", **{"replacement": "▁", "prepend_scheme": "always", "split": True} | options)


def byte_level(**options: Any) -> Part:
    return part("ByteLevel", **{"add_prefix_space": False, "trim_offsets": True, "use_regex": True} | options)


def around(kind: str, **options: Any) -> Part:
    return part(kind, sep=["</s>", 2], cls=["<s>", 1], **options)


def roberta(**options: Any) -> Part:
    return around("RobertaProcessing", **{"trim_offsets": True, "add_prefix_space": True} | options)


def template(**options: Any) -> Part:
    text = {"Sequence": {"id": "A", "type_id": 0}}
    first, last = ({"SpecialToken": {"id": name, "type_id": 0}} for name in "xy")
    tokens = {"x": {"id": "x", "ids": [5, 6], "tokens": ["five", "six"]}, "y": {"id": "y", "ids": [7], "tokens": ["7"]}}
    both = [text, {"Sequence": {"id": "B", "type_id": 1}}]
    defaults = {"single": [first, text, last], "pair": both, "special_tokens": tokens}
    return part("TemplateProcessing", **defaults | options)


def sequence(*parts: Part, of: str) -> Part:
    return part("Sequence", **{of: list(parts)})


def replace(matched: str, source: str, content: str) -> Part:
    return pattern("Replace", matched, source, content=content)


def precompiled() -> Part:
    """Return sentencepiece's table with one rule: a becomes X, and with it what joins to the a."""
    units = [0x8000_00FF] * 512
    units[0], units[0x161], units[0x160] = 0x100 << 10, ord("a") | 1 << 8 | 1 << 10, 1 << 31
    raw = struct.pack("<I512I", 4 * len(units), *units) + b"X\0"
    return part("Precompiled", precompiled_charsmap=base64.b64encode(raw).decode())


def added(content: str, **options: bool) -> Part:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": 0, "content": content, **flags, **options}


NORMALIZERS = [
    *map(part, ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")),
    bert(),
    bert(strip_accents=False),
    bert(lowercase=False),
    bert(lowercase=False, strip_accents=True),
    bert(clean_text=False),
    bert(handle_chinese_chars=False),
    *(part("Strip", strip_left=left, strip_right=right) for left in BOTH for right in BOTH),
    *(part("Prepend", prepend=text) for text in ("▁", "é▁", "")),
    replace("String", " ", "▁"),
    replace("String", "a", ""),
    replace("String", "'", "aé"),
    replace("String", "", "-"),
    replace("Regex", r"\s+", " "),
    replace("Regex", r"\p{L}", "x"),
    replace("Regex", "a*", "é"),
    replace("Regex", "^", ">"),
    precompiled(),
    sequence(part("NFD"), part("StripAccents"), part("Lowercase"), of="normalizers"),
    sequence(part("NFKC"), replace("Regex", r"\s+", " "), part("Prepend", prepend="▁"), of="normalizers"),
    sequence(part("NFKD"), part("Strip", strip_left=True, strip_right=True), part("ByteLevel"), of="normalizers"),
    sequence(of="normalizers"),
]
PRE_TOKENIZERS = [
    *map(part, ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "FixedLength")),
    *(part("Punctuation", behavior=behavior) for behavior in BEHAVIORS),
    *(split("Regex", r"\s|\p{N}", behavior, invert) for behavior in BEHAVIORS for invert in BOTH),
    split("String", " ", "MergedWithPrevious"),
    split("String", ".", "Isolated"),
    split("Regex", "", "Isolated"),
    *(part("Digits", individual_digits=single) for single in BOTH),
    part("CharDelimiterSplit", delimiter="é"),
    part("FixedLength", length=3),
    *(metaspace(prepend_scheme=scheme) for scheme in ("always", "first", "never")),
    metaspace(split=False),
    metaspace(prepend_scheme="never", add_prefix_space=False),
    metaspace(replacement="_"),
    *(byte_level(add_prefix_space=space, use_regex=cut) for space in BOTH for cut in BOTH),
    sequence(part("Whitespace"), metaspace(prepend_scheme="first"), of="pretokenizers"),
    sequence(part("Digits", individual_digits=True), byte_level(add_prefix_space=True), of="pretokenizers"),
]
POST_PROCESSORS = [
    template(),
    around("BertProcessing"),
    roberta(),
    roberta(add_prefix_space=False),
    roberta(trim_offsets=False),
    byte_level(),
    byte_level(add_prefix_space=True),
    byte_level(trim_offsets=False),
    sequence(byte_level(), template(), of="processors"),
    sequence(template(), byte_level(add_prefix_space=True), of="processors"),
]
DECODERS = [
    *(part(kind) for kind in ("ByteFallback", "Fuse")),
    byte_level(),
    part("WordPiece", prefix="##", cleanup=True),
    part("WordPiece", prefix="a", cleanup=False),
    metaspace(),
    metaspace(prepend_scheme="never"),
    *(part("BPEDecoder", suffix=suffix) for suffix in ("e", "")),
    part("Strip", content="a", start=2, stop=0),
    replace("String", "a", "bc"),
    replace("Regex", "[aeiou]*", "é"),
    part("CTC", pad_token="a", word_delimiter_token="e", cleanup=True),
    part("CTC", pad_token="<pad>", word_delimiter_token="|", cleanup=False),
    sequence(replace("String", "a", " "), part("Fuse"), part("Strip", content=" ", start=1, stop=0), of="decoders"),
]

"""Every kind of component that is known, with its options, on texts that make them tell."""

from __future__ import annotations

import json
from random import Random

import pytest
from both_tokenizers import Both
from small_tokenizers import TEXTS
from tokenizer_parts import (
    DECODERS,
    NORMALIZERS,
    POST_PROCESSORS,
    PRE_TOKENIZERS,
    Part,
    added,
    byte_level,
    document,
    part,
)
from varied_texts import CLUSTERS, SPACES, varied_texts

TRICKY = [
    *(
        "",
        " ",
        "\n\n",
        "\t a\r\n",
        "İI ıß ΣΊΣΥΦΟΣ ǅ",
        "e\u0301\u0323 \u0344\u0f73 각한 \u1100\u1161\u11a8",
        "ﬁ㎏½ⅷ\ufdfa\U0001d15f",
    ),
    *("don't 's 've 3,141 ٣²Ⅷ", "中文 mixed 日本", "a-b--c  ,.!?", "▁a ▁▁b▁", "<s>hi</s> <|added word|>→x"),
    *("\x00\x01\x7f\x85\u200b\ufeff\ufffd", "x\u200d👩‍👩‍👧🇩🇪🇫👍🏽", "".join(CLUSTERS), "a".join(SPACES)),
]


def short(made: object) -> str:
    return json.dumps(made)[:80]


def varied(alphabet: str, count: int) -> list[str]:
    draw = Random(1)
    return ["".join(draw.choices(alphabet, k=draw.randint(0, 12))) for _ in range(count)]


def agree(data: Part, count: int = 4) -> None:
    pair = Both(data)
    for text in [*TRICKY, TEXTS[0], *varied_texts(count, seed=5, longest=15)]:
        pair.agree(text)


@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=short)
def test_normalizers(normalizer: Part) -> None:
    pair = Both(document(normalizer=normalizer))
    for text in [*TRICKY, *varied_texts(4, seed=6, longest=15)]:
        pair.agree(text)


@pytest.mark.parametrize("pre_tokenizer", PRE_TOKENIZERS, ids=short)
def test_pre_tokenizers(pre_tokenizer: Part) -> None:
    agree(document(normalizer=None, pre_tokenizer=pre_tokenizer))


@pytest.mark.slow
@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=short)
def test_normalizers_before_pre_tokenizers(normalizer: Part) -> None:
    for pre_tokenizer in PRE_TOKENIZERS:
        agree(document(normalizer=normalizer, pre_tokenizer=pre_tokenizer), 30)


@pytest.mark.parametrize("post_processor", POST_PROCESSORS, ids=lambda part: part["type"])
def test_post_processors(post_processor: Part) -> None:
    pair = Both(document("byte_level", pre_tokenizer=byte_level(add_prefix_space=True), post_processor=post_processor))
    for text in TRICKY:
        pair.agree(text)
        pair.agree(text, special=False)


@pytest.mark.parametrize("decoder", DECODERS, ids=short)
def test_decoders(decoder: Part) -> None:
    for family in ("byte_fallback", "byte_level"):
        pair = Both(document(family, decoder=decoder))
        size = pair.pure.vocab_size()
        for start in range(0, size, 29):
            pair.agree_on_ids(range(start, min(start + 17, size)))


@pytest.mark.parametrize("option", ["single_word", "lstrip", "rstrip", "normalized", "special"])
@pytest.mark.parametrize("normalizer", [None, part("Lowercase"), part("Prepend", prepend="▁")], ids=short)
def test_added_tokens(option: str, normalizer: Part | None) -> None:
    tokens = [added(content, **{option: True}) for content in ("Ab", "b", "  ", "Abc", "é", "new")]
    both = [added(content, **{"lstrip": True, "rstrip": True, option: True}) for content in ("Cd", "Cd ", "x", "   ")]
    pair = Both(document("word_piece", added_tokens=tokens + both, normalizer=normalizer))
    for text in [
        "Ab Abc bAb b",
        "  Ab  \n b",
        "ab ABC  abc",
        "Cd  Cd\tCd xAbx é Éa néw new",
        "_b b1 b\u0301 -b",
        "Cd      Ab     x  \n   x",
        *TRICKY,
    ]:
        pair.agree(text)
    for text in varied(" aAbBéCdx\n", 40):
        pair.agree(text)
    assert pair.pure.vocab_size() == pair.rust.get_vocab_size()
    for number in range(pair.pure.vocab_size() - 12, pair.pure.vocab_size() + 1):
        assert pair.pure.token(number) == pair.rust.id_to_token(number)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("byte_fallback", {"byte_fallback": False}),
        ("byte_fallback", {"fuse_unk": False, "byte_fallback": False}),
        ("byte_fallback", {"unk_token": None, "byte_fallback": False}),
        ("byte_fallback", {"unk_token": "none such", "byte_fallback": False}),
        ("byte_level", {"ignore_merges": True}),
        ("suffix", {"end_of_word_suffix": None}),
        ("suffix", {"continuing_subword_prefix": ""}),
        ("word_piece", {"max_input_chars_per_word": 4}),
        ("word_piece", {"unk_token": "none such"}),
        ("plain", {"unk_token": "none such"}),
        ("unigram", {"unk_id": None}),
        ("unigram", {"byte_fallback": True}),
    ],
)
def test_options_of_models(family: str, options: Part) -> None:
    data = document(family)
    data["model"] |= options
    agree(data, 8)


def test_a_prefix_of_pieces_within_words() -> None:
    vocab = {"a": 0, "##b": 1, "ab": 2, "##c": 3, "##bc": 4, "<unk>": 5, "##a": 6}
    merges = [["##b", "##c"], ["a", "##b"]]
    model = {"type": "BPE", "vocab": vocab, "merges": merges, "continuing_subword_prefix": "##", "unk_token": "<unk>"}
    pair = Both(document("plain", model=model, added_tokens=[]))
    for text in ("abc", "ab", "a b", "aab abcabc xab bx"):
        pair.agree(text)


def test_byte_fallback_of_unigrams() -> None:
    data = document("unigram")
    data["model"] |= {"byte_fallback": True}
    data["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    agree(data, 8)

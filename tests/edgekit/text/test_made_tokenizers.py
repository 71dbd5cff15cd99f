"""Tokenizers put together by chance, small enough for ties, gaps and overlaps to be frequent."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from both_tokenizers import Both
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_parts import (
    DECODERS,
    NORMALIZERS,
    POST_PROCESSORS,
    PRE_TOKENIZERS,
    Part,
    added,
    document,
    sequence,
)

from edgekit.errors import UnsupportedError

ALPHABET = "aab é▁▁ĠBß\u0301中<\n"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def word(draw: Random, longest: int = 3) -> str:
    return "".join(draw.choices(ALPHABET, k=draw.randint(1, longest)))


def byte_pairs(draw: Random) -> Part:
    """Return a model with random merges: of equal parts, with ranks against the order of lengths."""
    prefix, suffix = draw.choice([(None, None), ("", ""), (None, "$"), ("##", None), ("#", "$")])
    letters = draw.sample(sorted(set(ALPHABET)), k=draw.randint(3, 10))
    forms = [letter + end for letter in letters for end in {"", suffix or ""}]
    pieces = list(dict.fromkeys(front + form for form in forms for front in ("", prefix or "")))
    tokens, merges = list(pieces), []
    for _ in range(draw.randint(0, 25)):
        first, second = draw.choice(tokens), draw.choice([token for token in tokens if token.startswith(prefix or "")])
        merges.append([first, second] if draw.randint(0, 1) or " " in first + second else f"{first} {second}")
        tokens.append(first + second[len(prefix or "") :])
    fallback = BYTES if not (prefix or suffix) and draw.randint(0, 1) else []
    vocab = ["<unk>", *dict.fromkeys(tokens), *fallback]
    draw.shuffle(vocab)
    return {
        "type": "BPE", "vocab": {token: number for number, token in enumerate(vocab)},
        "merges": [merge for merge in merges if isinstance(merge, list)] or merges,
        "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix, "byte_fallback": bool(fallback),
        "unk_token": draw.choice([None, "<unk>", "<unk>", "none"]), "fuse_unk": draw.choice([True, False]),
        "ignore_merges": draw.choice([True, False]), "dropout": None,
    }  # fmt: skip


def unigram(draw: Random) -> Part:
    """Return a model whose scores are often equal."""
    scores = [-1.0, -2.0, -1.5, -7.123456789012345678, -0.1, 0, 3]
    pieces = list(dict.fromkeys(word(draw, 4) for _ in range(draw.randint(1, 25))))
    fallback = BYTES if draw.randint(0, 1) else []
    vocab = [[token, draw.choice(scores)] for token in ["<unk>", *pieces, *fallback]]
    return {
        "type": "Unigram", "vocab": vocab, "unk_id": draw.choice([0, 0, 0, 1, None]), "byte_fallback": bool(fallback),
    }  # fmt: skip


def word_piece(draw: Random) -> Part:
    pieces = [draw.choice(("", "##")) + word(draw) for _ in range(draw.randint(3, 40))]
    return {
        "type": "WordPiece", "vocab": {token: at for at, token in enumerate(dict.fromkeys(["<unk>", *pieces]))},
        "unk_token": draw.choice(["<unk>", "<unk>", "none"]), "continuing_subword_prefix": "##",
        "max_input_chars_per_word": draw.choice([100, 5]),
    }  # fmt: skip


def some(draw: Random, parts: list[Part], of: str) -> Part | None:
    """Return none of some parts, one, or a sequence."""
    count = draw.choice((0, 1, 1, 2, 3))
    chosen = draw.choices(parts, k=count)
    return None if not count else chosen[0] if count == 1 else sequence(*chosen, of=of)


def tokenizer(draw: Random) -> Part:
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    contents = {word(draw) for _ in range(draw.randint(0, 5))}
    return document(
        "plain",
        model=draw.choice([byte_pairs, byte_pairs, unigram, word_piece])(draw),
        normalizer=some(draw, NORMALIZERS, "normalizers"),
        pre_tokenizer=some(draw, PRE_TOKENIZERS, "pretokenizers"),
        post_processor=draw.choice([None, *POST_PROCESSORS]),
        decoder=draw.choice([None, *DECODERS]),
        added_tokens=[added(content, **{flag: draw.random() < 0.3 for flag in flags}) for content in sorted(contents)],
    )


def hold(data: Part, draw: Random) -> None:
    try:
        pair = Both(data)
    except ValueError:  # the package refuses it: two added tokens that are normalized to the same
        return
    except UnsupportedError:
        return
    written = [pair.pure.token(number) for number in pair.rust.get_added_tokens_decoder()]
    if "" in written or len(set(written)) < len(written):
        return  # normalized to nothing or to the same: what the package finds then, nobody says
    for _ in range(10):
        pair.agree(word(draw, 12), special=bool(draw.randint(0, 1)))
    pair.agree("")


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1 << 32))
def test_a_made_tokenizer_does_what_the_package_does(seed: int) -> None:
    draw = Random(seed)
    hold(tokenizer(draw), draw)


@pytest.mark.slow
@settings(deadline=None, max_examples=4000)
@given(seed=st.integers(0, 1 << 32))
def test_many_made_tokenizers_do_what_the_package_does(seed: int) -> None:
    draw = Random(seed)
    hold(tokenizer(draw), draw)


def test_made_models_are_taken() -> None:
    draw = Random(3)
    kinds: list[Any] = [byte_pairs, unigram, word_piece]
    for kind in kinds:
        for _ in range(20):
            Both(document("plain", model=kind(draw), added_tokens=[]))

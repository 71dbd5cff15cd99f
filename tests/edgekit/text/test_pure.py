from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from both_tokenizers import Both
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import FAMILIES, TEXTS, trained
from varied_texts import CLUSTERS, SPACES, SPECIAL, WORDS, varied_texts

from edgekit.streaming import TextStream
from edgekit.tokenizer import PurePython, Tokenizer

REAL = ("clip", "falcon", "nmt-unigram", "phi-3-mini")
texts = st.lists(st.sampled_from([*WORDS, *SPACES, *CLUSTERS, *SPECIAL]) | st.text(max_size=5), max_size=12).map(
    "".join
)


@cache
def both(family: str) -> Both:
    return Both(trained(family))


@cache
def real(folder: Path, name: str) -> Both:
    return Both((folder / "data" / "tokenizers" / name / "tokenizer.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=25)
@given(text=texts, special=st.booleans())
def test_any_text_is_encoded_as_the_package_does(family: str, text: str, special: bool) -> None:
    both(family).agree(text, special=special)


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_any_ids_are_decoded_as_the_package_does(family: str, data: st.DataObject) -> None:
    pair = both(family)
    size = pair.rust.get_vocab_size()
    assert pair.pure.vocab_size() == size
    ids = data.draw(st.lists(st.integers(0, size + 2), min_size=1, max_size=30))
    pair.agree_on_ids(ids)
    for number in ids:
        token = pair.rust.id_to_token(number)
        assert pair.pure.token(number) == token
        assert token is None or pair.pure.token_id(token) == pair.rust.token_to_id(token)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in REAL[:3]] + list(REAL[3:]))
def test_published_tokenizers(shared: Path, name: str) -> None:
    pair = real(shared, name)
    for text in [*TEXTS, "", *varied_texts(30, seed=4)]:
        pair.agree(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
@settings(deadline=None, max_examples=2000)
@given(text=texts | st.text(), special=st.booleans())
def test_published_tokenizers_on_any_text(shared: Path, name: str, text: str, special: bool) -> None:
    real(shared, name).agree(text, special=special)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_class_has_the_same_results(family: str) -> None:
    pair = both(family)
    tokenizer = Tokenizer(PurePython(trained(family).encode(), "tokenizer.json"))
    for text in [*TEXTS[:4], *varied_texts(10, seed=1)]:
        ids = tokenizer.encode(text)
        assert ids == pair.rust.encode(text).ids
        words = tokenizer.encode_words(text)
        assert (words.ids, words.offsets) == (ids, pair.rust.encode(text).offsets)
        assert tokenizer.encode_batch([text, text], 7) == [ids[:7]] * 2
        stream = TextStream(tokenizer)
        assert "".join(map(stream.push, ids)) + stream.flush() == pair.rust.decode(ids)
    added = pair.rust.get_added_tokens_decoder()
    assert tokenizer.special_ids == {number for number, token in added.items() if token.special}


def test_saved_padding_and_truncation_are_off() -> None:
    document: dict[str, Any] = json.loads(trained("word_piece"))
    document["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    document["padding"] = {
        "strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0,
        "pad_token": "[PAD]",
    }  # fmt: skip
    Both(document).agree(TEXTS[0])


LONG = {
    "one word": "a" * 100_000,
    "words": " ".join(WORDS) * 200,
    "spaces": " " * 100_000,
    "lines": "\n" * 100_000,
    "spaces and lines": " \n" * 50_000,
    "marks": "e" + "\u0301" * 100_000,
    "emoji": "👩\u200d" * 50_000,
    "Han": "日本" * 50_000,
    "signs": "<|" * 50_000,
    "digits": "1" * 100_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("kind", LONG)
@pytest.mark.timeout(60)
def test_long_texts_take_seconds(shared: Path, name: str, kind: str) -> None:
    real(shared, name).agree(LONG[kind])

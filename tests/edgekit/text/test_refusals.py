"""What EdgeKit's own tokenizer does not know, and damaged files: the error names the file and the place."""

from __future__ import annotations

import json

import pytest
from tokenizer_parts import Part, around, document, metaspace, part, sequence, split, template

from edgekit.errors import BundleError, UnsupportedError
from edgekit.text.pure import PureTokenizer

UNSUPPORTED: list[tuple[Part, str]] = [
    ({"normalizer": part("Upside")}, "the normalizer 'Upside'"),
    ({"normalizer": sequence(part("NFC"), part("New"), of="normalizers")}, r"normalizers\[1\]: the normalizer 'New'"),
    ({"pre_tokenizer": part("UnicodeScripts")}, "the pre-tokenizer 'UnicodeScripts'"),
    (
        {"pre_tokenizer": split("Regex", r"\p{Klingon}", "Isolated")},
        r"the regular expression '\\\\p\{Klingon\}' \(\\p\{Klingon\}",
    ),
    ({"post_processor": part("Other")}, "the post-processor 'Other'"),
    (
        {"post_processor": sequence(template(), around("BertProcessing"), of="processors")},
        "more than one post-processor",
    ),
    ({"decoder": part("Rot13")}, "the decoder 'Rot13'"),
    ({"model": part("Neural")}, "the model 'Neural'"),
]


@pytest.mark.parametrize(("parts", "message"), UNSUPPORTED)
def test_what_is_not_known_is_named(parts: Part, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message) as caught:
        PureTokenizer(json.dumps(document(**parts)).encode(), "some/tokenizer.json")
    assert caught.value.message.startswith("some/tokenizer.json: ")
    assert "edgekit-sdk[text]" in caught.value.hint


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"end_of_word_suffix": "</w>"}])
def test_models_with_options_that_are_not_known(options: Part) -> None:
    data = document()
    data["model"] |= options
    with pytest.raises(UnsupportedError, match="is not supported by EdgeKit's own tokenizer"):
        PureTokenizer(json.dumps(data).encode(), "tokenizer.json")


DAMAGED: list[tuple[Part, str]] = [
    ({"model": None}, "model is missing"),
    ({"model": {"type": "BPE", "vocab": {"a": 0}}}, "model.merges is missing"),
    ({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}, "model.vocab has -1 for 'a'"),
    ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}, "'b' is not in the vocabulary"),
    ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["ab"]}}, "expected two tokens"),
    ({"model": {"type": "BPE", "vocab": {"\ud800": 0}, "merges": []}}, "not valid Unicode"),
    ({"model": {"type": "Unigram", "vocab": [["a", "b"]]}}, r"model.vocab\[0\]"),
    ({"model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 1}}, "model.unk_id is 1, of 1 tokens"),
    ({"model": {"type": "WordPiece", "vocab": {}}}, "model.unk_token is missing"),
    ({"normalizer": part("Precompiled", precompiled_charsmap="AAAA")}, "precompiled_charsmap is damaged"),
    ({"normalizer": part("Precompiled", precompiled_charsmap="?")}, "no base64"),
    (
        {"normalizer": part("Strip", strip_left=1, strip_right=True)},
        "normalizer.strip_left is 1, expected true or false",
    ),
    ({"normalizer": {}}, "normalizer.type is missing"),
    ({"pre_tokenizer": metaspace(replacement="ab")}, "expected one character"),
    ({"pre_tokenizer": metaspace(prepend_scheme="last")}, "expected first, never or always"),
    ({"pre_tokenizer": metaspace(add_prefix_space=False)}, "contradicts prepend_scheme"),
    ({"pre_tokenizer": split("Regex", "a", "Sideways")}, "expected one of Isolated"),
    ({"pre_tokenizer": part("FixedLength", length=0)}, "length is 0"),
    ({"post_processor": template(special_tokens={})}, "'x', which special_tokens lacks"),
    ({"post_processor": template(single=[{"Sequence": {"id": "B"}}])}, "neither the text nor a special token"),
    ({"post_processor": around("BertProcessing") | {"sep": ["a"]}}, "expected a token and its id"),
    ({"added_tokens": [{"id": 0, "content": "a"}]}, r"added_tokens\[0\].special is missing"),
    ({"added_tokens": ["a"]}, r"added_tokens\[0\] is 'a', expected an object"),
    ({"version": "2.0"}, "version is '2.0', expected 1.0"),
]


@pytest.mark.parametrize(("parts", "message"), DAMAGED)
def test_damage_is_named(parts: Part, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        PureTokenizer(json.dumps(document(**parts)).encode(), "some/tokenizer.json")
    assert caught.value.message.startswith("some/tokenizer.json: ")


def test_deep_nesting_is_refused() -> None:
    normalizer: Part = {"type": "NFC"}
    for _ in range(20):
        normalizer = {"type": "Sequence", "normalizers": [normalizer]}
    with pytest.raises(BundleError, match="nested too deeply"):
        PureTokenizer(json.dumps(document(normalizer=normalizer)).encode(), "tokenizer.json")

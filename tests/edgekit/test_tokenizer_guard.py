from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_tokenizers import FAMILIES, trained

from edgekit.errors import BundleError, EdgekitError
from edgekit.tokenizer import Tokenizer
from edgekit.tokenizer_guard import refuse_hostile


def with_model(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(trained("byte_level"))
    document["model"] |= changes
    return document


HOSTILE: list[dict[str, Any]] = [
    {"continuing_subword_prefix": "a", "vocab": {"x": 0, "é": 1}, "merges": [["x", "é"]]},
    {"continuing_subword_prefix": "aa", "vocab": {"x": 0, "b": 1}, "merges": [["x", "b"]]},
    {"continuing_subword_prefix": "é", "vocab": {"x": 0, "b": 1}, "merges": ["x b"]},
    {"continuing_subword_prefix": "a", "vocab": {"x": 0, "b": 1}, "merges": [[]]},
    {"continuing_subword_prefix": "a", "vocab": {"x": 0, "b": 1}, "merges": [["x", 1]]},
    {"continuing_subword_prefix": "a", "vocab": {"x": 0, "b": 1}, "merges": [1e308]},
]


@pytest.mark.parametrize("model", HOSTILE)
def test_merges_that_would_abort_the_process_are_refused(tmp_path: Path, model: dict[str, Any]) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(with_model(**model)), encoding="utf-8")
    with pytest.raises(BundleError, match="does not go with continuing_subword_prefix"):
        Tokenizer.open(path)


def test_neither_escapes_nor_doubled_keys_hide_them() -> None:
    text = json.dumps(with_model(**HOSTILE[0]))
    with pytest.raises(ValueError, match="does not go with"):
        refuse_hostile(text.replace('"continuing', '"\\u0063ontinuing'))
    with pytest.raises(ValueError, match="twice"):
        refuse_hostile(text.replace('"merges"', '"continuing_subword_prefix": null, "merges"'))
    with pytest.raises(ValueError, match="nested"):
        refuse_hostile('{"continuing_subword_prefix": ' + "[" * 100_000)


def test_prefixes_that_fit_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    vocab = {"a": 0, "##b": 1, "ab": 2}
    model = {"continuing_subword_prefix": "##", "vocab": vocab, "merges": [["a", "##b"]]}
    path.write_text(json.dumps(with_model(**model)), encoding="utf-8")
    assert Tokenizer.open(path).encode("ab") == [2]


def test_a_panic_while_decoding_is_an_error(tmp_path: Path) -> None:
    document = with_model()
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 1}
    document["decoder"] = {"type": "Sequence", "decoders": [document["decoder"], strip]}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    tokenizer = Tokenizer.open(path)
    with pytest.raises(EdgekitError, match="cannot decode these ids"):
        tokenizer.decode([])


@pytest.mark.parametrize("family", FAMILIES)
def test_tokenizers_of_every_family_pass(family: str) -> None:
    refuse_hostile(trained(family))

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import trained, write

from edgekit.errors import BundleError, UnsupportedError, UsageError
from edgekit.tokenizer import Tokenizer


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    return Tokenizer.open(write("byte_level", tmp_path))


def test_there_and_back(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("Grüße 🙂")
    assert all(isinstance(token, int) for token in ids)
    assert tokenizer.decode(ids) == "Grüße 🙂"
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


def test_special_tokens(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Rust
    from tokenizers.processors import TemplateProcessing

    rust = Rust.from_str(trained("byte_level"))
    start = rust.token_to_id("<s>")
    rust.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    (tmp_path / "tokenizer.json").write_bytes(rust.to_str().encode())
    tokenizer = Tokenizer.open(tmp_path / "tokenizer.json")
    assert tokenizer.encode("a")[0] == start
    assert start not in tokenizer.encode("a", add_special_tokens=False)
    assert tokenizer.decode(tokenizer.encode("a")) == "a"
    assert tokenizer.decode(tokenizer.encode("a"), skip_special=False) == "<s>a"
    assert start in tokenizer.special_ids


def test_saved_padding_and_truncation_are_off(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Rust

    rust = Rust.from_str(trained("byte_level"))
    rust.enable_padding(length=128)
    rust.enable_truncation(4)
    (tmp_path / "tokenizer.json").write_bytes(rust.to_str().encode())
    tokenizer = Tokenizer.open(tmp_path / "tokenizer.json")
    assert tokenizer.decode(tokenizer.encode("a text of more than four tokens")) == "a text of more than four tokens"
    assert len(tokenizer.encode("a")) == 1


def test_ids_outside_of_the_vocabulary_have_no_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([10**6, *tokenizer.encode("a")]) == "a"
    assert tokenizer.token(10**6) is None
    with pytest.raises(UsageError, match="-1 is no token id"):
        tokenizer.decode([-1])
    with pytest.raises(UsageError, match="4294967296"):
        tokenizer.decode([1 << 32])


def test_lone_surrogates_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UsageError, match=r"lone surrogate '\\ud800' at character 2"):
        tokenizer.encode("ab\ud800c")
    with pytest.raises(UsageError, match="a text is expected, not a bytes"):
        tokenizer.encode(b"ab")  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"null", b'{"model": {}}', b"\xff\xfe", b"\x00" * 100])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        Tokenizer.open(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@settings(deadline=None)
@given(cut=st.integers(0, 20_000))
def test_a_file_cut_short_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    whole = trained("byte_level").encode()
    path = tmp_path_factory.getbasetemp() / "cut.json"
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(BundleError, match=r"cut\.json"):
        Tokenizer.open(path)


def test_merges_of_unknown_tokens_are_refused(tmp_path: Path) -> None:
    data = json.loads(trained("byte_level"))
    data["model"]["merges"].append(["no such token", "nor this"])
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(BundleError, match="no such token"):
        Tokenizer.open(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.json: there is no such file"):
        Tokenizer.open(tmp_path / "none.json")


def test_without_the_package_the_ids_are_the_same(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("byte_level", tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    pure = Tokenizer.open(path)
    for text in ("Grüße 🙂", "<s>doesn't 12</s>", ""):
        assert pure.encode(text) == tokenizer.encode(text)
        assert pure.encode_words(text) == tokenizer.encode_words(text)
        assert pure.encode_batch([text], 3) == tokenizer.encode_batch([text], 3)
        assert pure.decode(tokenizer.encode(text), skip_special=False) == text
    assert (pure.vocab_size, pure.special_ids) == (tokenizer.vocab_size, tokenizer.special_ids)
    assert (pure.token(300), pure.token_id("<s>")) == (tokenizer.token(300), tokenizer.token_id("<s>"))
    assert pure.byte_level == tokenizer.byte_level


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"null", b'{"model": {}}', b"\xff\xfe", b"\x00" * 100])
def test_a_damaged_file_is_named_without_the_package(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        Tokenizer.open(path)
    assert str(path) in caught.value.message
    assert "tokenizer.json is damaged" in caught.value.hint


def test_what_only_the_package_can_do_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.loads(trained("byte_level"))
    data["pre_tokenizer"] = {"type": "UnicodeScripts"}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert Tokenizer.open(path).encode("a")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UnsupportedError, match="the pre-tokenizer 'UnicodeScripts' is not supported") as caught:
        Tokenizer.open(path)
    assert 'pip install "edgekit-sdk[text]"' in caught.value.hint


def test_needs_no_engine(tmp_path: Path) -> None:
    path = write("byte_level", tmp_path)
    code = (
        "import sys, edgekit; tokenizer = edgekit.Tokenizer.open(sys.argv[1]); assert tokenizer.decode(tokenizer.encode"
        "('hi')) == 'hi'; assert 'onnxruntime' not in sys.modules and 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


@pytest.mark.parametrize("name", ["clip", "falcon", "nmt-unigram", "phi-3-mini"])
def test_published_tokenizers_are_as_the_package_has_them(shared: Path, name: str) -> None:
    from tokenizers import Tokenizer as Rust

    path = shared / "data" / "tokenizers" / name / "tokenizer.json"
    tokenizer, rust = Tokenizer.open(path), Rust.from_file(str(path))
    for text in ("Hello world", "Grüße 🙂 ለምን", "x = [1, 2]\n\n\t# 3.14"):
        ids = tokenizer.encode(text)
        assert ids == rust.encode(text).ids
        assert tokenizer.decode(ids) == rust.decode(ids)
    assert tokenizer.vocab_size == rust.get_vocab_size()

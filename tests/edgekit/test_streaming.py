from __future__ import annotations

import tempfile
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import FAMILIES, TEXTS, write

from edgekit.streaming import StopStrings, TextStream
from edgekit.tokenizer import Tokenizer

REAL = ("clip", "falcon", "nmt-unigram", "phi-3-mini")
ODD_TEXT = "Grüße 🙂👩‍👩‍👧 ለምን 日本語  two\n\n\ttabs → <|added word|>, it's \ufffd done . a\u0301"


@cache
def opened(family: str) -> Tokenizer:
    with tempfile.TemporaryDirectory() as folder:
        return Tokenizer.open(write(family, Path(folder)))


@cache
def real(folder: Path, name: str) -> Tokenizer:
    return Tokenizer.open(folder / "data" / "tokenizers" / name / "tokenizer.json")


def pieces(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*(stream.push(token) for token in ids), stream.flush()]


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None)
@given(data=st.data())
def test_pieces_of_any_tokens_are_the_whole_text(family: str, data: st.DataObject) -> None:
    tokenizer = opened(family)
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size + 2), max_size=40))
    assert "".join(pieces(tokenizer, ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None)
@given(text=st.text(max_size=60) | st.sampled_from([*TEXTS, ODD_TEXT]))
def test_pieces_of_a_text_split_no_character(family: str, text: str) -> None:
    tokenizer = opened(family)
    ids = tokenizer.encode(text)
    found = pieces(tokenizer, ids)
    assert "".join(found) == tokenizer.decode(ids)
    if "\ufffd" not in tokenizer.decode(ids):
        assert not any("\ufffd" in piece for piece in found)


@pytest.mark.parametrize("name", REAL)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_real_tokenizers(shared: Path, name: str, data: st.DataObject) -> None:
    tokenizer = real(shared, name)
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=30))
    ids += tokenizer.encode(data.draw(st.text(max_size=30) | st.just(ODD_TEXT)))
    assert "".join(pieces(tokenizer, ids)) == tokenizer.decode(ids)


@settings(deadline=None)
@given(data=st.binary(max_size=40))
def test_any_bytes_are_replaced_as_the_tokenizer_does(data: bytes) -> None:
    for family in ("byte_level", "byte_level_within", "byte_fallback"):
        tokenizer = opened(family)
        ids = [byte_token(tokenizer, family, byte) for byte in data]
        assert "".join(pieces(tokenizer, ids)) == tokenizer.decode(ids)


def byte_token(tokenizer: Tokenizer, family: str, byte: int) -> int:
    if family == "byte_fallback":
        token = tokenizer.token_id(f"<0x{byte:02X}>")
    else:
        visible = 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174
        hidden = [b for b in range(256) if not (33 <= b <= 126 or 161 <= b <= 172 or b >= 174)]
        token = tokenizer.token_id(chr(byte) if visible else chr(256 + hidden.index(byte)))
    assert token is not None
    return token


@pytest.mark.parametrize("family", ["byte_level", "byte_level_within", "byte_fallback"])
def test_a_character_of_several_tokens_comes_whole(family: str) -> None:
    tokenizer = opened(family)
    ids = [*(byte_token(tokenizer, family, byte) for byte in "🙂".encode()), *tokenizer.encode("a")]
    found = pieces(tokenizer, ids)
    assert found[:3] == ["", "", ""]
    assert "".join(found).startswith("🙂")


def test_an_unfinished_character_shows_at_the_end_only() -> None:
    tokenizer = opened("byte_level")
    stream = TextStream(tokenizer)
    assert [stream.push(byte_token(tokenizer, "byte_level", byte)) for byte in "🙂".encode()[:3]] == ["", "", ""]
    assert stream.flush() == "\ufffd"


def test_special_tokens_are_left_out_unless_asked_for() -> None:
    tokenizer = opened("byte_level")
    end = tokenizer.token_id("</s>")
    assert end is not None
    ids = [*tokenizer.encode("a"), end, *tokenizer.encode("b")]
    assert "".join(pieces(tokenizer, ids)) == "ab"
    stream = TextStream(tokenizer, skip_special=False)
    assert "".join(stream.push(token) for token in ids) + stream.flush() == "a</s>b"


@pytest.mark.parametrize("family", ["byte_level", "byte_fallback", "word_piece", "unigram"])
def test_the_cost_of_a_token_does_not_grow(family: str) -> None:
    tokenizer = opened(family)
    ids = (tokenizer.encode(" ".join(TEXTS)) * 20)[:6000]
    stream = TextStream(tokenizer)

    def seconds(part: list[int]) -> float:
        best = float("inf")
        for start in range(0, len(part), 250):
            began = time.perf_counter()
            for token in part[start : start + 250]:
                stream.push(token)
            best = min(best, time.perf_counter() - began)
        return best

    first, middle, last = (seconds(ids[start : start + 2000]) for start in (0, 2000, 4000))
    # Decoding all again for each token would make the last third five times as slow as the first.
    assert last < 3 * max(first, middle)


def test_stop_strings_across_pieces() -> None:
    stops = StopStrings(["\n\n", "END"])
    assert [stops.push(piece) for piece in ["a\n", "b E", "N", "Dx\n\n"]] == ["a", "\nb ", "", ""]
    assert stops.found == "END"
    assert stops.push("more") == ""
    assert stops.flush() == ""


def test_what_begins_a_stop_string_comes_late_but_comes() -> None:
    stops = StopStrings(["END"])
    assert stops.push("an E") == "an "
    assert stops.push("N") == ""
    assert stops.flush() == "EN"
    assert stops.found is None


def test_the_stop_string_that_is_complete_first_counts() -> None:
    assert StopStrings(["abcd", "bc"]).push("xabcd") == "xa"
    assert StopStrings(["c", "abc"]).push("xabc") == "x"


@settings(deadline=None)
@given(
    text=st.text("ab\n", max_size=30),
    stops=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
    data=st.data(),
)
def test_stop_strings_do_not_depend_on_the_pieces(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    watcher = StopStrings(stops)
    bounds = zip([0, *cuts], [*cuts, len(text)], strict=True)
    shown = "".join([*(watcher.push(text[start:end]) for start, end in bounds), watcher.flush()])
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    if not ends:
        assert (shown, watcher.found) == (text, None)
        return
    assert watcher.found is not None
    assert shown + watcher.found == text[: min(ends)]

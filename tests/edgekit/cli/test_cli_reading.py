from __future__ import annotations

import io

import pytest

from edgekit.cli.reading import checked, decoded, read_ids, read_prompt
from edgekit.errors import UsageError


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"hello\n", "hello"), (b"hello\r\n", "hello"), (b"two\n\n", "two\n"), (b"\xef\xbb\xbfmark", "mark")],
)
def test_standard_input_loses_one_line_end(raw: bytes, text: str) -> None:
    assert read_prompt("-", io.BytesIO(raw)) == text


def test_a_given_prompt_is_taken_as_it_is() -> None:
    assert read_prompt("  caf\u00e9 \n") == "  caf\u00e9 \n"


@pytest.mark.parametrize("prompt", [None, "", "  \n"])
def test_no_prompt_is_wrong_usage(prompt: str | None) -> None:
    with pytest.raises(UsageError, match=r"no prompt|empty") as caught:
        read_prompt(prompt)
    assert caught.value.exit_code == 2


def test_bytes_that_are_no_text_are_refused_with_their_place() -> None:
    with pytest.raises(UsageError, match="standard input is not UTF-8: byte 0xFF at offset 3"):
        read_prompt("-", io.BytesIO(b"abc\xff"))


def test_lone_surrogates_are_refused_with_their_place() -> None:
    with pytest.raises(UsageError, match=r"the system message is no valid Unicode: U\+DCFF at character 2"):
        checked("a\udcff", "the system message")


def test_a_character_beyond_the_basic_plane_is_text() -> None:
    assert checked("\U0001f600", "the prompt") == decoded("\U0001f600".encode(), "the prompt")


def test_ids() -> None:
    assert read_ids("1, 2  3") == [1, 2, 3]
    with pytest.raises(UsageError, match="'1 x' is no list"):
        read_ids("1 x")

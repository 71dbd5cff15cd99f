"""From files to blocks with their headings and lines."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.knowledge.blocks import Block, read_text
from edgekit.knowledge.chunks import cut
from edgekit.knowledge.documents import FORMS, MAX_BYTES, Document, DocumentError, files_of, name_of
from edgekit.knowledge.html import read_html
from edgekit.knowledge.markdown import read_markdown


def seen(blocks: list[Block]) -> list[tuple[str, tuple[str, ...], int]]:
    """Return text, headings and first line of blocks, white space made plain."""
    return [(" ".join(block.text.split()), block.headings, block.line_at(0)) for block in blocks]


def test_plain_text_is_parted_by_empty_lines() -> None:
    found = seen(list(read_text("one\ntwo\n\n  \nthree\x85four\n")))
    assert found == [("one two", (), 1), ("three four", (), 5)]


MARKDOWN = """---
title: not text
---
# Manual #

Intro with a [link](https://example.org "title")
on two lines.

Setext
------
- item one
- item two

```sh
# no heading
run it
```

| a | b |
|---|---|
### Deep

below <!-- hidden
for two lines --> deep

# Second
***
end
"""


def test_markdown_has_headings_lists_code_and_tables() -> None:
    blocks = list(read_markdown(MARKDOWN))
    assert seen(blocks) == [
        ("Intro with a link on two lines.", ("Manual",), 6),
        ("- item one - item two", ("Manual", "Setext"), 11),
        ("# no heading run it", ("Manual", "Setext"), 15),
        ("| a | b | |---|---|", ("Manual", "Setext"), 19),
        ("below deep", ("Manual", "Setext", "Deep"), 23),
        ("end", ("Second",), 28),
    ]
    assert [block.preformatted for block in blocks] == [False, False, True, True, False, False]


HTML = """<!doctype html><html><head><title>not seen</title>
<style>p { color: red }</style></head>
<body><h1>Library &amp; <em>rules</em></h1>
<p>Open on
<b>Sun</b>days.<br>Come in.</p>
<script>var hidden = "</p>";</script>
<h2>Fees</h2><ul><li>books<li>films</ul>
<table><tr><td>late</td><td>20 cents</td></tr></table>
<nav>menu</nav><p>unclosed
"""


def test_html_shows_what_a_reader_sees() -> None:
    found = seen(list(read_html(HTML)))
    assert found == [
        ("Open on Sundays. Come in.", ("Library & rules",), 4),
        ("books films", ("Library & rules", "Fees"), 7),
        ("late 20 cents", ("Library & rules", "Fees"), 8),
        ("unclosed", ("Library & rules", "Fees"), 9),
    ]


def test_html_whose_head_is_never_closed() -> None:
    assert [text for text, _, _ in seen(list(read_html("<head><title>x</title><body>shown")))] == ["shown"]


@pytest.mark.parametrize(
    ("line", "heading"),
    [("# a #", "a"), ("## a#", "a#"), ("# #", ""), ("#", ""), ("### a ## b ##", "a ## b"), ("#a", None)],
)
def test_headings_may_be_closed(line: str, heading: str | None) -> None:
    ((_, headings, _),) = seen(list(read_markdown(f"{line}\n\ntext" if heading is not None else line)))
    assert headings == ((heading,) if heading else ())


@pytest.mark.slow
@pytest.mark.timeout(20)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "part",
    [
        ".",
        " ",
        "# ",
        "- ",
        "[",
        "[a](",
        "<!--",
        "<a ",
        "&",
        "\n",
        "A. ",
        "| ",
        "</",
        "<?",
        "<![CDATA[",
        "<p>",
        '"',
        "`",
    ],
)
def test_what_is_repeated_for_ever_takes_no_time_for_ever(form: str, part: str) -> None:
    """Quadratic time would be hours here."""
    text = "# " + part * 100_000 + "x"
    for chunk in cut(Document("x", text, form, "").blocks(), 200, len):
        assert len(chunk.text) <= 400  # the spaces between the parts are not counted


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15)
@given(text=st.text(st.sampled_from("ab #-=|`~<>/hp1!\n\"'&;. "), max_size=60) | st.text(max_size=60))
def test_whatever_is_read_every_block_is_text_of_a_line_that_exists(form: str, text: str) -> None:
    document = Document("x", text.replace("\r", "\n"), form, "")
    for block in document.blocks():
        assert block.text.strip()
        lines = [block.line_at(at) for at in range(len(block.text))]
        assert lines == sorted(lines)
        assert lines[0] >= 1
        assert lines[-1] <= document.text.count("\n") + 1


@settings(max_examples=15)
@given(text=st.text(st.sampled_from("ab \n.#"), max_size=80))
def test_no_word_of_a_plain_text_is_lost(text: str) -> None:
    assert " ".join(block.text for block in read_text(text)).split() == text.split()


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.HTM"
    path.write_bytes(b"\xef\xbb\xbf<p>caf\xc3\xa9\r\n\x1b[31mred")
    document = Document.read(path)
    assert (document.form, document.name) == ("html", path.as_posix())
    assert document.sha256 == hashlib.sha256(b"html\0" + path.read_bytes()).hexdigest()
    assert "\x1b" not in document.text
    assert "\r" not in document.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\x02\x01\x01\x00\xff", "is a binary file: byte 0xFF at offset 8"),
        (b"text\x00more", "is a binary file: the character U\\+0000"),
        ("größe".encode("latin-1"), "is not UTF-8: byte 0xF6 at offset 2"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DocumentError, match=words):
        Document.read(tmp_path / "a.txt")


def test_what_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DocumentError, match="cannot be read: No such file"):
        Document.read(tmp_path / "none.txt")
    with pytest.raises(DocumentError, match="is no path"):
        Document.read(Path("a\0b"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DocumentError, match="is not a regular file"):
            Document.read(tmp_path / "pipe")
    (tmp_path / "large.txt").touch()
    os.truncate(tmp_path / "large.txt", MAX_BYTES + 1)
    with pytest.raises(DocumentError, match="more than the 67,108,864 allowed"):
        Document.read(tmp_path / "large.txt")
    with pytest.raises(UsageError, match="unknown form"):
        Document.of("a", b"", "pdf")


@pytest.mark.skipif(sys.platform == "win32", reason="a file without permission is NOT tested: Windows has other ones")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch(0)
    root = os.geteuid() == 0
    if root:  # who may read everything becomes nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(DocumentError, match="cannot be read: Permission denied"):
            Document.read(tmp_path / "a.txt")
    finally:
        if root:
            os.seteuid(0)


def test_folders_give_their_texts(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "c.png", ".hidden.md", "sub/d.html", ".git/e.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in files_of([tmp_path, tmp_path / "c.png"])]
    assert found == ["a.txt", "b.md", "sub/d.html", "c.png"]
    assert name_of("./docs/../a.md") == "a.md"

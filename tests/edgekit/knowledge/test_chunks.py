"""Chunks end with sentences, stay below their heading, and fit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.knowledge.chunks import cut
from edgekit.knowledge.documents import Document
from edgekit.knowledge.markdown import read_markdown
from edgekit.knowledge.sentences import sentences


def count(text: str) -> int:
    """Count words; a word of many letters counts more, as with real tokenizers."""
    return sum(1 + len(word) // 8 for word in text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("He said: “Stop.” Then he left.", ["He said: “Stop.”", "Then he left."]),
        ("Dr. Smith and J. R. Doe, e.g. here. Next.", ["Dr. Smith and J. R. Doe, e.g. here.", "Next."]),
        (
            "It costs 3.50 euros. See www.example.org for more.",
            ["It costs 3.50 euros.", "See www.example.org for more."],
        ),
        ("Intro:\n- first\n- second", ["Intro:", "- first", "- second"]),
        ("你好。世界!", ["你好。", "世界!"]),
        ("¿Qué? ¡Sí! «Bien.» Fin.", ["¿Qué?", "¡Sí!", "«Bien.»", "Fin."]),
        ("   \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:stop] for start, stop in sentences(text)] == expected


@settings(max_examples=15)
@given(st.text(st.sampled_from('aB .!?\n-1"。'), max_size=80))
def test_sentences_cover_all_but_white_space(text: str) -> None:
    spans = list(sentences(text))
    assert "".join("".join(text[start:stop].split()) for start, stop in spans) == "".join(text.split())
    assert spans == sorted(spans)


TEXT = """# Title

One two three. Four five six.

Seven eight nine.

## Other

Ten eleven twelve.
"""


def test_a_section_that_fits_is_one_chunk_and_headings_part() -> None:
    chunks = list(cut(read_markdown(TEXT), 40, count))
    assert [(chunk.text, chunk.line, chunk.headings) for chunk in chunks] == [
        ("One two three. Four five six.\nSeven eight nine.", 3, ("Title",)),
        ("Ten eleven twelve.", 9, ("Title", "Other")),
    ]
    assert chunks[1].embedded == "Other\nTen eleven twelve."


def test_a_longer_one_is_cut_between_sentences() -> None:
    chunks = list(cut(read_markdown(TEXT), 5, count))
    assert [(chunk.text, chunk.line) for chunk in chunks] == [
        ("One two three.", 3), ("Four five six.", 3), ("Seven eight nine.", 5), ("Ten eleven twelve.", 9),
    ]  # fmt: skip


def test_a_sentence_that_does_not_fit_is_cut_between_words_and_a_word_without_end_within() -> None:
    words = [f"w{number}" for number in range(50)]
    chunks = list(cut(Document("x", " ".join(words), "text", "").blocks(), 8, count))
    assert " ".join(chunk.text for chunk in chunks).split() == words
    assert all(count(chunk.text) <= 8 for chunk in chunks)
    endless = list(cut(Document("x", "y" * (1 << 16), "text", "").blocks(), 8, count))
    assert "".join(chunk.text for chunk in endless) == "y" * (1 << 16)


def test_code_keeps_its_lines() -> None:
    source = "```\nfirst line\n  second line\n```\n"
    assert [chunk.text for chunk in cut(read_markdown(source), 40, count)] == ["first line\n  second line"]
    assert [chunk.line for chunk in cut(read_markdown(source), 2, count)] == [2, 3]


@settings(max_examples=15)
@given(
    st.lists(
        st.sampled_from(["# A\n", "## B\n", "One two three. ", "Word ", "long" * 20 + " ", "\n", "\n\n"]), max_size=40
    ),
    st.integers(8, 40),
)
def test_nothing_is_lost_and_everything_fits(parts: list[str], longest: int) -> None:
    text = "".join(parts)
    blocks = list(read_markdown(text))
    chunks = list(cut(blocks, longest, count))
    assert "".join("".join(c.text.split()) for c in chunks) == "".join("".join(b.text.split()) for b in blocks)
    assert all(count(chunk.text) <= longest for chunk in chunks)
    assert all(chunk.line <= text.count("\n") + 1 for chunk in chunks)

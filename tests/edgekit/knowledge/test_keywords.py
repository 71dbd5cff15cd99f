"""Words, and BM25 against the formula computed another way and against SQLite's own."""

from __future__ import annotations

import sqlite3
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.knowledge.keywords import K1, B, Statistics, asked, content, words

WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "e1043", "zeta"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Renewals, RENEWED!", ["renew", "renew"]),
        ("Größe café naïve", ["gross", "cafe", "naive"]),
        ("error E-1043 in v12a34567", ["error", "e", "1043", "in", "v12a34567"]),
        ("snake_case", ["snake", "case"]),
        ("図書館の本", ["図書", "書館", "館の", "の本"]),
        ("PC用", ["pc", "用"]),
        ("books, a book; gas, glass", ["book", "a", "book", "gas", "glass"]),
        ("…!?", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_what_a_question_asks_for() -> None:
    assert asked("How do I renew my library card, and the card of my son?") == ["renew", "libra", "card", "son"]
    assert asked("What is it?") == ["what", "is", "it"]
    assert content("What is it?") == []


@settings(max_examples=15)
@given(st.lists(WORDS, min_size=3, max_size=12), WORDS)
def test_scores_rank_as_those_of_sqlite(documents: list[list[str]], question: list[str]) -> None:
    """FTS5's bm25() has the same k1, b and weights, and is written by others."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE texts USING fts5(text)")
    database.executemany("INSERT INTO texts VALUES (?)", [(" ".join(document),) for document in documents])
    question = list(dict.fromkeys(question))
    match = " OR ".join(question)
    theirs = dict(database.execute("SELECT rowid - 1, -bm25(texts) FROM texts WHERE texts MATCH ?", (match,)))
    database.close()
    counts = Counter(word for document in documents for word in set(document))
    statistics = Statistics(len(documents), sum(map(len, documents)), counts)
    whole = sum(statistics.weight(word) for word in question)
    for place, document in enumerate(documents):
        assert statistics.score(question, document) == pytest.approx(min(1.0, theirs.get(place, 0.0) / whole), abs=1e-6)


def test_a_score_is_a_share() -> None:
    statistics = Statistics(100, 1000, {"rare": 1, "common": 90})
    usual = ["rare", *["other"] * 9]
    assert statistics.score(["rare"], usual) == pytest.approx(1.0)
    assert statistics.score(["rare", "unknown"], usual) == pytest.approx(
        statistics.weight("rare") / (statistics.weight("rare") + statistics.weight("unknown"))
    )
    assert statistics.score(["common"], ["common"] * 10) <= 1.0
    assert statistics.score([], usual) == 0.0
    assert Statistics(0, 0, {}).score(["x"], ["x"]) == 1.0
    length = K1 * (1 - B + B * 20 / 10)
    assert statistics.score(["rare"], ["rare", *["other"] * 19]) == pytest.approx((K1 + 1) / (1 + length))
    assert np.isfinite(statistics.weight("common"))

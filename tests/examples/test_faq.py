"""The kiosk; how well the FAQ is answered is measured in `tests/test_faq.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

KIOSK = "faq/kiosk.py"
UNKNOWN = "I do not know that. Please ask at the desk."


def test_a_question_from_the_faq_and_one_from_elsewhere(
    run: Callable[..., object], encoder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "faq.md"
    document.write_text("# Hours\n\nWe are open from nine to five.\n", encoding="utf-8")
    (tmp_path / "bad.md").write_bytes(b"\0\1\2")
    arguments = (KIOSK, encoder, model, document, tmp_path / "bad.md", "--knowledge", tmp_path / "kb")
    question = "Hours\nWe are open from nine to five.\n"
    assert run(*arguments, said=question) is None
    first = capsys.readouterr().out
    assert "bad.md was left out: " in first
    assert "1 passages are ready" in first
    assert "(Hours)" in first
    assert run(*arguments, said=question) is None  # started again, from what it kept
    assert capsys.readouterr().out == first
    document.write_text("# Elsewhere\n\n12 times 3 is 36.\n", encoding="utf-8")
    assert run(*arguments, said="Elsewhere\n") is None
    assert "(Hours)" not in capsys.readouterr().out


def test_where_nothing_is_near_enough_it_sends_to_the_desk(
    run: Callable[..., object], encoder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    assert run(KIOSK, encoder, model, tmp_path / "empty.txt", "--knowledge", tmp_path / "kb", said="Why?\n") is None
    assert UNKNOWN in capsys.readouterr().out


@pytest.mark.slow
def test_the_library(
    run: Callable[..., object], examples: Path, minilm: Path, smollm2: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    said = "How many books may I borrow?\nHow do I bake bread?\n"
    document = examples / "faq" / "library.md"
    assert run(KIOSK, minilm, smollm2, document, "--knowledge", tmp_path / "kb", said=said) is None
    first, second = capsys.readouterr().out.split("Your question: ")[1:3]
    assert "30 items" in first
    assert "How many items can I borrow at a time?" in first
    assert second.strip() == UNKNOWN

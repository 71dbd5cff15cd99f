from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

TRIAGE = "ticket_triage/triage.py"
KNOWN = "text,category\n" + "".join(
    f"{text},{label}\n" for text, label in (("a dog barks", "animal"), ("12 times 3", "number")) for _ in range(6)
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_ticket_is_sorted_or_left_to_a_person(
    run: Callable[..., object], encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, new, output = tmp_path / "known.csv", tmp_path / "new.csv", tmp_path / "sorted.csv"
    known.write_text(KNOWN, encoding="utf-8-sig")  # as spreadsheets write it
    new.write_text('text\na dog barks\n"12, times 3"\n\nwhat else\n', encoding="utf-8")
    assert run(TRIAGE, encoder, known, new, output) is None
    found = rows(output)
    assert [row["text"] for row in found] == ["a dog barks", "12, times 3", "what else"]
    assert {row["category"] for row in found} <= {"animal", "number", ""}
    assert found[0]["category"] == "animal"
    assert all(0.5 <= float(row["probability"]) <= 1 for row in found)
    assert "3 tickets:" in capsys.readouterr().out


def test_what_is_wrong_is_said_in_a_line(run: Callable[..., object], encoder: Path, tmp_path: Path) -> None:
    known, new = tmp_path / "known.csv", tmp_path / "new.csv"
    known.write_text(KNOWN, encoding="utf-8")
    new.write_text("message\nhello\n", encoding="utf-8")
    assert run(TRIAGE, encoder, known, new, tmp_path / "out.csv") == f"{new} has no column text"
    assert re.match(r"error: .*missing\.edge", str(run(TRIAGE, tmp_path / "missing.edge", known, known, "out.csv")))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.slow
def test_how_well_it_sorts(run: Callable[..., object], examples: Path, minilm: Path, tmp_path: Path) -> None:
    folder = examples / "ticket_triage"
    output = tmp_path / "sorted.csv"
    assert run(TRIAGE, minilm, folder / "tickets.csv", folder / "new.csv", output) is None
    both = zip(rows(folder / "new.csv"), rows(output), strict=True)
    pairs = [(new["expected"] or "other", done["category"]) for new, done in both]
    sorted_ = [(expected, given) for expected, given in pairs if given]
    assert len(sorted_) >= 33
    assert sum(expected == given for expected, given in sorted_) >= len(sorted_) - 2
    assert all(given in ("other", "") for expected, given in pairs if expected == "other")

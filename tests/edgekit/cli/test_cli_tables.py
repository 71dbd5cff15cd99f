from __future__ import annotations

import json

import pytest

from edgekit.cli import tables


def test_facts_without_a_value_are_left_out_and_lines_end_where_text_ends(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_facts("Title [bold]", [("name", "x"), ("revision", ""), ("long one", "word " * 40)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Title [bold]"
    assert lines[1] == "  name       x"
    assert "revision" not in "".join(lines)
    assert lines[3].startswith(" " * 13 + "word")
    assert all(line == line.rstrip() and len(line) <= tables.PIPE_WIDTH for line in lines)


def test_a_column_without_a_value_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table("", ("name", "hint", "size"), [("a", "", "1"), ("b", "", "22")], right=(2,))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "name   size"
    assert lines[2:] == ["a         1", "b        22"]


def test_json_says_null_for_what_it_cannot_say(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_json({"perplexity": float("inf"), "list": [float("nan"), 1.5], "text": "caf\u00e9"})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"perplexity": None, "list": [None, 1.5], "text": "caf\u00e9"}
    assert "caf\u00e9" in shown

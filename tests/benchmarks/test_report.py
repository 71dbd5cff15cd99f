"""The harness of `make bench`: parts are found, rows are kept, the published page says what they say."""

import json
from pathlib import Path

from part import Table, parts, verdict
from report import PAGE, PUBLISHED, drawn_table, page, publishable
from results import Results


def test_parts_are_found_and_ordered() -> None:
    found = parts()
    assert {"memory", "speed", "quality"} <= set(found)
    assert [part.ORDER for part in found.values()] == sorted(part.ORDER for part in found.values())
    assert next(iter(found)) == "memory", "memory exports what the others measure"


def test_a_row_replaces_the_one_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results.open(path).add("memory", {"name": "a", "met": True})
    Results.open(path).add("memory", {"name": "b", "met": None})
    Results.open(path).add("memory", {"name": "a", "met": False})
    rows = Results.read(path).rows("memory")
    assert [(row["name"], verdict(row)) for row in rows] == [("a", "fail"), ("b", "")]
    assert all(row["date"] for row in rows)


def test_a_whole_run_lets_go_of_earlier_rows(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = Results.open(path)
    results.add("memory", {"name": "a", "met": True})
    results.add("memory", {"name": "b", "met": True})
    results.keep("memory", ["b"])
    assert [row["name"] for row in Results.read(path).rows("memory")] == ["b"]


def test_rows_of_another_machine_are_let_go(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results.open(path).add("memory", {"name": "a", "met": True})
    kept = json.loads(path.read_text())
    kept["machine"]["cpu"] = "another"
    path.write_text(json.dumps(kept))
    assert Results.open(path).rows("memory") == []
    assert Results.read(path).rows("memory"), "a report draws them all the same"


def test_the_page_has_every_row_in_a_markdown_table(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "results.json")
    row = {
        "name": "a", "model": "smollm2 int4", "formats": "onnx, tflite", "peak_bytes": 269e6, "target_bytes": 400e6,
        "seconds": 4.2, "met": False,
    }  # fmt: skip
    results.add("memory", row)
    lines = page(publishable(results)).splitlines()
    assert "| smollm2 int4 | onnx, tflite | 269 MB | 400 MB | 4.2 s | fail |" in lines
    measured = next(line for line in lines if line.startswith(f"Measured {results.rows('memory')[0]['date']}"))
    assert f"{results.machine['cpu']}, {results.machine['cores']} cores" in measured


def test_cells_cannot_break_a_table() -> None:
    drawn = drawn_table(Table("t", ("a", "b"), [("x|y", "1")], right=(1,), notes=("said",)))
    assert drawn.splitlines()[1:] == ["t", "", "| a | b |", "|---|---:|", "| x\\|y | 1 |", "", "said"]


def test_the_published_page_is_what_the_rows_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(json.loads(PUBLISHED.read_text(encoding="utf-8")))

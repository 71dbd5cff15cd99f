from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BATCH = "review_batch/batch.py"
COUNT = 12


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    texts = [f'r{number},"Good, number {number}.\nVery good."' for number in range(COUNT)]
    path.write_text("\n".join(["id,text", *texts]), encoding="utf-8")
    return path


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ids(path: Path) -> list[str]:
    return [record["id"] for record in records(path)]


def test_each_review_is_judged_once(
    run: Callable[..., object], model: Path, reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.jsonl"
    assert run(BATCH, model, reviews, output) is None
    assert ids(output) == [f"r{number}" for number in range(COUNT)]
    assert all(record["sentiment"] in ("positive", "negative") for record in records(output))
    assert all(0 <= record["probability"] <= 1 for record in records(output))
    before = output.read_bytes()
    assert run(BATCH, model, reviews, output) is None
    assert output.read_bytes() == before
    assert f"{COUNT} reviews, 0 to do" in capsys.readouterr().out


@pytest.mark.parametrize("torn", [b'{"id": "r2", "senti', b'{"id": "r2"}', b"\0\0\0"])
def test_a_torn_line_is_cut_off_and_done_anew(
    run: Callable[..., object], model: Path, reviews: Path, tmp_path: Path, torn: bytes
) -> None:
    output = tmp_path / "out.jsonl"
    lines = [json.dumps({"id": number, "sentiment": "kept", "probability": 1.0}) + "\n" for number in ("r0", "r7")]
    whole = "".join(lines).encode()
    output.write_bytes(whole + torn)
    assert run(BATCH, model, reviews, output) is None
    assert output.read_bytes().startswith(whole)
    assert sorted(ids(output)) == sorted(f"r{number}" for number in range(COUNT))


def test_where_a_file_ends(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    finished, path = script(BATCH).finished, tmp_path / "out.jsonl"
    assert finished(path) == set()
    path.write_bytes(b'{"id": "a"}')
    assert (finished(path), path.read_bytes()) == (set(), b"")
    path.write_bytes(b'{"id": "a"}\n{"id": "b"}\n')
    assert finished(path) == {"a", "b"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_half_way_it_goes_on_and_does_each_review_once(
    examples: Path, model: Path, reviews: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    command = [sys.executable, str(examples / BATCH), str(model), str(reviews), str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("r4 "):
                process.kill()
                break
    assert process.returncode == -9
    done = output.read_bytes()
    assert 5 <= done.count(b"\n") < COUNT
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert output.read_bytes().startswith(done[: done.rfind(b"\n") + 1])
    assert ids(output) == [f"r{number}" for number in range(COUNT)]
    left = COUNT - done.count(b"\n")
    assert f"{left} to do" in finished.stdout


@pytest.mark.slow
def test_how_well_it_judges(run: Callable[..., object], examples: Path, smollm2: Path, tmp_path: Path) -> None:
    output, path = tmp_path / "out.jsonl", examples / "review_batch" / "reviews.csv"
    assert run(BATCH, smollm2, path, output) is None
    with path.open(encoding="utf-8", newline="") as file:
        truth = {row["id"]: row["sentiment"] for row in csv.DictReader(file)}
    right = sum(record["sentiment"] == truth[record["id"]] for record in records(output))
    assert (len(truth), right >= 56) == (60, True)

"""The parts of `make test-pi` that need no emulation: a board that dies must not look like one that passed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from pi.boards import BOARDS, CORES, Board
from pi.report import Report, print_report

from edgekit import linux

RESULTS = """<testsuites><testsuite>
<testcase classname="tests.contract.test_a" name="one" time="1.6" />
<testcase classname="tests.contract.test_a" name="two" time="0.6"><failure message="no" /></testcase>
<testcase classname="tests.contract.test_b" name="three" time="0.1"><skipped message="no network" /></testcase>
<testcase classname="tests.contract.test_b" name="four" time="0.1"><error message="no fixture" /></testcase>
</testsuite></testsuites>"""


def report(
    folder: Path, code: int, results: str = RESULTS, log: str = "...\n1 passed, 9 deselected in 2.00s\n"
) -> Report:
    (folder / "results.xml").unlink(missing_ok=True)
    if results:
        (folder / "results.xml").write_text(results, encoding="utf-8")
    (folder / "log").write_text(log, encoding="utf-8")
    return Report.read("pi4", code, folder / "results.xml", folder / "log")


def test_every_outcome_is_counted_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(tmp_path, 1)
    assert not found.good
    assert [found.total(outcome) for outcome in ("passed", "failed", "skipped")] == [1, 2, 1]
    print_report([found], 90, 120)
    shown = capsys.readouterr().out.splitlines()
    assert any("tests/contract/test_a" in line and "1 passed, 1 failed" in line for line in shown)
    assert "skipped on pi4: tests/contract/test_b::three: no network" in shown
    assert "pi4: 1 passed, 9 deselected in 2.00s" in shown
    assert shown[-2:] == ["1.5 minutes, 2.0 of one processor's time", "1 passed, 2 failed, 1 skipped"]


@pytest.mark.parametrize("code", [-signal.SIGILL, 3, 0])
def test_a_board_without_results_has_failed(code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(tmp_path, code, results="", log="Fatal Python error: Illegal instruction\n")
    assert not found.good
    print_report([found], 1, 1)
    shown = capsys.readouterr().out.splitlines()
    assert "Fatal Python error: Illegal instruction" in shown
    assert shown[-1] == "0 passed, 1 failed, 0 skipped"
    assert ("died of SIGILL" in found.closing) == (code == -signal.SIGILL)


@pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])
def test_a_board_is_what_its_files_say(board: Board, tmp_path: Path) -> None:
    board.write(tmp_path)
    proc, sysfs = tmp_path / "proc", tmp_path / "sys"
    assert linux.cpu_name(proc) == f"{board.cpu.title()}, {board.model}"
    assert linux.cpu_flags(proc) == frozenset(board.features.split())
    assert linux.physical_cores(proc, sysfs) == CORES
    assert linux.total_memory(proc, sysfs) == board.memory * 1024

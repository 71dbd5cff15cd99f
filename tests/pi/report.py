"""What ran on which board, of pytest's own records: every file with its numbers, and everything that was skipped."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

LAST_LINES = 60


@dataclass
class Report:
    """One board's results."""

    board: str
    exit_code: int
    closing: str
    """pytest's last line, with what was left out as slow; or how the process ended."""
    files: dict[str, Counter[str]] = field(default_factory=dict)
    """By file: how many "passed", "failed" or "skipped", and their "seconds"."""
    skipped: dict[str, str] = field(default_factory=dict)
    """By test: why."""
    log: str = ""

    @property
    def good(self) -> bool:
        """Whether tests ran and none failed."""
        return self.exit_code == 0 and self.total("passed") > 0

    def total(self, outcome: str) -> int:
        """Return how many tests ended so."""
        return sum(numbers[outcome] for numbers in self.files.values())

    @classmethod
    def read(cls, board: str, exit_code: int, results: Path, log: Path) -> Report:
        """Read pytest's results, which are not there where the process died."""
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if exit_code < 0:
            closing = f"died of {signal.Signals(-exit_code).name}"
        else:
            closing = lines[-1].strip("= ") if lines else f"ended with exit code {exit_code} and said nothing"
        report = cls(board, exit_code, closing, log="\n".join(lines[-LAST_LINES:]))
        for case in ET.parse(results).iter("testcase") if results.exists() else ():
            report._add(case)
        return report

    def _add(self, case: ET.Element) -> None:
        name = case.get("classname", "").replace(".", "/")
        numbers = self.files.setdefault(name, Counter())
        skipped = case.find("skipped")
        if skipped is not None:
            self.skipped[f"{name}::{case.get('name')}"] = skipped.get("message", "")
        bad = case.find("failure") is not None or case.find("error") is not None
        numbers["failed" if bad else "passed" if skipped is None else "skipped"] += 1
        numbers["seconds"] += round(float(case.get("time", "0")))


def print_report(reports: list[Report], seconds: float, processor_seconds: float) -> None:
    """Print the list of what ran; the last line counts all of it."""
    for report in reports:
        if not report.good:
            print(f"\n{report.board}: {report.closing}; the end of its log:\n{report.log}")
    names = sorted({name for report in reports for name in report.files})
    width = max(map(len, names), default=0)
    print("\nRan on", " ".join(f"{report.board:>24}" for report in reports).rjust(width))
    for name in names:
        print(name.ljust(width), *(_numbers(report.files.get(name)).rjust(24) for report in reports))
    for report in reports:
        for test, reason in report.skipped.items():
            print(f"skipped on {report.board}: {test}: {reason}")
        print(f"{report.board}: {report.closing}")
    print(f"{seconds / 60:.1f} minutes, {processor_seconds / 60:.1f} of one processor's time")
    passed, failed, skipped = (
        sum(report.total(name) for report in reports) for name in ("passed", "failed", "skipped")
    )
    # A board that died has no results of its own: it counts as one that failed.
    failed += sum(not report.good and not report.total("failed") for report in reports)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


def _numbers(numbers: Counter[str] | None) -> str:
    if numbers is None:
        return "did not run"
    parts = [f"{numbers[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped") if numbers[outcome]]
    return f"{', '.join(parts)}, {numbers['seconds']} s"

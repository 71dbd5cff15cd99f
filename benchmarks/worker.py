"""An engine in a process and an environment of its own, which waits while the others work."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import Environment

WORKERS = Path(__file__).resolve().parent / "workers"
SETTLE_SECONDS = 0.3
"""Waited before each turn: the threads of the engine before spin for a while after their last step."""
CLOCKS = ("wall", "processor")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all engines of a comparison are given."""

    model: str
    quantize: str
    context: int
    prompt_tokens: int
    new_tokens: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How an engine is started."""

    name: str
    worker: str
    """A script of `workers/`."""
    arguments: Callable[[Setting], list[object]]
    """What the script is given; makes the model where that is not there."""
    environment: Environment | None = None
    """A peer's; None for the one that EdgeKit is installed in."""
    clocks: tuple[str, ...] = CLOCKS
    """Those that it can be measured by."""


class Worker:
    """A started engine."""

    def __init__(self, engine: Engine, setting: Setting) -> None:
        self.name = engine.name
        python = engine.environment.python() if engine.environment else sys.executable
        command = [python, str(WORKERS / engine.worker), *map(str, engine.arguments(setting))]
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        self._answer()

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        time.sleep(SETTLE_SECONDS)
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._said.seek(0)
            said = self._said.read()[-2000:]
            self.close()
            raise RuntimeError(f"the {self.name} worker ended with {code}:\n{said}")
        return dict(json.loads(line))

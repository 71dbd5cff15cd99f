"""What every worker does: answer requests, a line of JSON each, and time what it was asked for.

It runs in the environments of all peers, so it knows nothing but Python. Standard output belongs to the answers:
what an engine prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]


class Watch:
    """Seconds since it was made, of the clock on the wall and of this process's threads."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def stop(self) -> dict[str, float]:
        """Return both."""
        wall, processor = self._began
        return {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def serve(answer: Callable[[Answer], Answer]) -> None:
    """Say that the engine is ready, and answer until the input ends."""
    _ANSWERS.write('{"ready": true}\n')
    _ANSWERS.flush()
    for line in sys.stdin:
        _ANSWERS.write(json.dumps(answer(json.loads(line))) + "\n")
        _ANSWERS.flush()


_ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

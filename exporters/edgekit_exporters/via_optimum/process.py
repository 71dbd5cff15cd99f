"""Runs work in a Python process of its own: torch never enters ours, and what it prints stays out of sight.

The child gets its request as a file, tells steps and the result as JSON lines, and ends when its parent has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from edgekit.errors import EdgekitError, UnsupportedError
from edgekit.progress import Progress

Tell = Callable[[str], None]

# No network, no telemetry, and no other frameworks that happen to be installed.
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "USE_TORCH": "1",
    "USE_TF": "0",
    "USE_FLAX": "0",
    # Scripted functions (DeBERTa's) would be traced as branches, which OpenVINO does not run.
    "PYTORCH_JIT": "0",
}
_REQUEST, _LOG = "request.json", "log.txt"


def run(module: str, title: str, request: Mapping[str, Any], folder: Path, progress: Progress) -> dict[str, Any]:
    """Run `module`, which calls `serve`, in a process of its own and return its result.

    Args:
        module: Its dotted name.
        title: What it does before it tells its first step.
        request: JSON values.
        folder: Where the child works and leaves files.
        progress: Is told each step.

    Raises:
        UnsupportedError: what the child says is wrong.
        EdgekitError: it ended without a result.
    """
    (folder / _REQUEST).write_text(json.dumps(request), encoding="utf-8")
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100 - not resolved
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": paths}
    command = [sys.executable, "-m", module]
    with (
        (folder / _LOG).open("wb") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        ) as child,
    ):
        assert child.stdout is not None
        try:
            result = _listen(child.stdout, title, progress)
            code = child.wait()
        except BaseException:
            child.kill()
            raise
    if result is None:
        raise EdgekitError(f"the process of {module.rpartition('.')[2]} ended with {_code(code)}{_last_words(folder)}")
    if "error" in result:
        raise UnsupportedError(result["error"], result["hint"])
    return result


def serve(work: Callable[[dict[str, Any], Tell], dict[str, Any]]) -> None:
    """Do the work of a child: called by the module that `run` was given."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Libraries print as they like: into the log.
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def send(message: Mapping[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    try:
        request = json.loads(Path(_REQUEST).read_text(encoding="utf-8"))
        result = work(request, lambda step: send({"step": step}))
    except EdgekitError as error:
        result = {"error": error.message, "hint": error.hint}
    except Exception as error:  # noqa: BLE001 - torch and transformers raise whatever they like
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", "hint": ""}
    send(result)


def _listen(lines: IO[bytes], title: str, progress: Progress) -> dict[str, Any] | None:
    """Tell each step and return the result, None where there is none."""
    result = None
    progress.start(title, None)
    try:
        for line in lines:
            message = json.loads(line)
            if "step" in message:
                progress.finish()
                progress.start(message["step"], None)
            else:
                result = message
    finally:
        progress.finish()
    return result


def _end_with_parent() -> None:
    """Wait until the parent closes its end of standard input, which the system does when it is killed."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _code(code: int) -> str:
    return f"signal {-code} (was the memory exhausted?)" if code < 0 else f"code {code}"


def _last_words(folder: Path) -> str:
    lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {lines[-1].strip()[:300]}" if lines else ""

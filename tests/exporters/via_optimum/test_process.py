from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.errors import EdgekitError, UnsupportedError
from edgekit.progress import Silent
from edgekit_exporters.via_optimum.process import run

CHILD = "child_process"


class Steps(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        self.told.append(title)

    def finish(self) -> None:
        self.told.append("done")


def test_a_child_answers_and_its_noise_stays_in_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps = Steps()
    result = run(CHILD, "begin", {"do": "answer", "number": 21}, tmp_path, steps)
    assert result == {"twice": 42, "torch": "1", "folder": str(tmp_path.resolve())}
    assert steps.told == ["begin", "done", "first step", "done", "second step", "done"]
    assert capfd.readouterr() == ("", "")


def test_what_the_child_refuses_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="the fish is not supported") as caught:
        run(CHILD, "begin", {"do": "refuse"}, tmp_path, Silent())
    assert caught.value.hint == "give a bird"


def test_what_nobody_foresaw_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"^ValueError: a tensor of the wrong shape$"):
        run(CHILD, "begin", {"do": "fail"}, tmp_path, Silent())


def test_a_child_that_is_killed_is_told(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match="the process of child_process ended with signal 9"):
        run(CHILD, "begin", {"do": "die"}, tmp_path, Silent())


def test_a_module_that_is_not_there_is_told_with_what_python_says(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match=r"ended with code 1: .*No module named .?no_such_module"):
        run("no_such_module", "begin", {}, tmp_path, Silent())


def test_an_interrupt_ends_the_child(tmp_path: Path) -> None:
    note = tmp_path / "note"

    class Interrupting(Silent):
        def start(self, title: str, total: int | None, unit: str = "B") -> None:
            if title == "second step":
                _wait_for(note)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(CHILD, "begin", {"do": "sleep", "note": str(note)}, tmp_path, Interrupting())
    assert _ended(int(note.read_text()))


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    request = json.dumps({"do": "sleep", "note": str(note)})
    code = (
        "from pathlib import Path; from edgekit.progress import Silent\n"
        "from edgekit_exporters.via_optimum.process import run\n"
        f"run({CHILD!r}, 'begin', {request}, Path({str(tmp_path)!r}), Silent())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as parent:
        _wait_for(note)
        parent.send_signal(signal.SIGKILL)
    assert _ended(int(note.read_text()))


def _wait_for(note: Path) -> None:
    for _ in range(300):
        if note.exists() and note.read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the child did not begin")


def _ended(child: int) -> bool:
    for _ in range(300):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{child}/stat").is_file() and Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.1)
    return False

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a console, not to a process")


def test_ctrl_c_ends_a_run_with_one_line(bundle: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(bundle)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (130, "error: interrupted\n")


SLOW_RUN = """
import sys, time
from edgekit.cli import main
from edgekit.session import DecoderSession
forward = DecoderSession.forward
def slow(self, *arguments, **options):
    time.sleep(0.05)
    return forward(self, *arguments, **options)
DecoderSession.forward = slow
sys.exit(main(["run", sys.argv[1], "hello", "--temperature", "2", "--seed", "1", "--max-tokens", "400"]))
"""

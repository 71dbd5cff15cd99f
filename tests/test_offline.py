"""Loading and running need no network: every socket is refused, in the process and in those that it starts.

The refusal stands in a `sitecustomize` that Python imports before anything else. It sees what Python opens; where the
system allows it, the processes also have no network at all, which holds for native code too. CI is unset: engines that
report keep quiet where it is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.registry import runtime, runtime_names
from edgekit_exporters.export import export

ROOT = Path(__file__).resolve().parents[1]

REFUSAL = """
import ctypes, os, sys

def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        with open(os.environ["NETWORK_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{event} {arguments}\\n")
        raise OSError(f"no network here: {event}")

class Watching:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime" and os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
            raise RuntimeError("onnxruntime is imported with its telemetry on")
        if name == "openvino_telemetry":
            raise RuntimeError("openvino's telemetry is imported")

sys.addaudithook(refuse)
sys.meta_path.insert(0, Watching())
if sys.platform == "linux":
    # New user and network namespaces; where that is not allowed, the refusal above must do.
    ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)
"""

FROM_PYTHON = """
import sys
import edgekit
for name in sys.argv[2:]:
    with edgekit.load(sys.argv[1], runtime=name, context=64) as model:
        print(name, "".join(model.stream("hello", max_tokens=3)))
        model.generate([{"role": "user", "content": "hello"}], max_tokens=3)
"""

COMMANDS = """
import sys
from edgekit.cli import main
for arguments in (
    ["run", sys.argv[1], "hello", "--max-tokens", "3"],
    ["chat", sys.argv[1], "--max-tokens", "3"],
    ["bench", sys.argv[1], "--prompt-tokens", "8", "--new-tokens", "2", "--rounds", "3"],
    ["verify", sys.argv[1]],
    ["inspect", sys.argv[1]],
    ["doctor"],
):
    assert main(arguments) == 0, arguments
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("offline")
    formats = sorted({runtime(name).format for name in runtime_names()})
    return export(write_tiny_checkpoint(folder / "tiny"), to=formats, quantize="int8", output=folder / "tiny.edge")


def offline(tmp_path: Path, *arguments: str, give: str = "") -> str:
    """Run Python without a network and return what it printed."""
    (tmp_path / "sitecustomize.py").write_text(REFUSAL, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    places = [tmp_path, ROOT, ROOT / "exporters", ROOT / "runtimes"]
    environment |= {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "NETWORK_LOG": str(tmp_path / "network.log"),
        "EDGEKIT_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        input=give,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    log = tmp_path / "network.log"
    assert not log.exists(), log.read_text(encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_refusal_works(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"socket\.__new__"):
        offline(tmp_path, "-c", "import socket; socket.socket()")


def test_loading_and_generating(bundle: Path, tmp_path: Path) -> None:
    names = runtime_names()
    printed = offline(tmp_path, "-c", FROM_PYTHON, str(bundle), *names)
    assert all(name in printed for name in names)


def test_every_command_but_export(bundle: Path, tmp_path: Path) -> None:
    assert "passed" in offline(tmp_path, "-c", COMMANDS, str(bundle), give="hello\n")

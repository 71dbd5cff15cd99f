"""`edgekit export` where writing fails: nothing half-written is left, and what was there is kept."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from refusals import refusal
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.bundle import Bundle
from edgekit.cli import main
from edgekit_exporters.packed import PackedFile

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "exporters", ROOT / "runtimes"]))}

# Writes a file once the weights are under way, and is slow from there on.
SLOW = """
import sys, time
from pathlib import Path
from edgekit.cli import main
from edgekit_exporters import stream
encode = stream.encode
def slow(*arguments):
    Path(sys.argv[1]).touch()
    time.sleep(0.1)
    return encode(*arguments)
stream.encode = slow
sys.exit(main(sys.argv[2:]))
"""

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from edgekit.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def old(checkpoint: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A bundle that is there already."""
    assert main(["export", str(checkpoint), "-o", str(out / "x.edge"), "--name", "old", "--json"]) == 0
    capsys.readouterr()
    return out / "x.edge"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(checkpoint: Path, output: Path, marker: Path) -> subprocess.Popen[str]:
    """Begin an export in a process of its own, and return when it is in the middle."""
    arguments = ["export", str(checkpoint), "-o", str(output), "--force"]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(marker), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not marker.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_force_replaces_a_bundle(checkpoint: Path, old: Path, out: Path) -> None:
    assert main(["export", str(checkpoint), "-o", str(old), "--name", "new", "--force", "--json"]) == 0
    assert Bundle.open(old).manifest.name == "new"
    assert names(out) == ["x.edge"]


def test_a_failure_keeps_the_old_bundle(
    old: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = write_tiny_checkpoint(tmp_path / "damaged")
    raw = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(raw[:-4] + b"\x00\x00\xc0\x7f")
    assert "holds nan" in refusal(capsys, "export", damaged, "-o", old, "--force")
    assert Bundle.open(old).manifest.name == "old"
    assert names(out) == ["x.edge"]


@pytest.mark.parametrize("output", ["tiny", ".", "link"])
def test_the_checkpoint_itself_is_never_replaced(
    output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_tiny_checkpoint(tmp_path / "models" / "tiny")
    target = tmp_path / "models" / output
    if output == "link":
        if os.name == "nt":
            target = source / ".." / "tiny"
        else:
            target.symlink_to(source)
    before = {path: path.read_bytes() for path in source.iterdir()}
    said = refusal(capsys, "export", source, "-o", target, "--force", code=2)
    assert "is the checkpoint" in said
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_a_gguf_file_in_the_output_is_kept(tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gguf_conversion import convert

    (tmp_path / "models").mkdir()
    path = convert(shared / "golden" / "decoders" / "llama_gqa", tmp_path / "models" / "tiny.gguf", "llama")
    assert "or holds it" in refusal(capsys, "export", path, "-o", tmp_path / "models", "--force", code=2)
    assert names(tmp_path / "models") == ["tiny.gguf"]


def test_an_output_within_the_checkpoint_is_no_harm(tmp_path: Path) -> None:
    source = write_tiny_checkpoint(tmp_path / "tiny")
    assert main(["export", str(source), "-o", str(source / "x.edge"), "--json"]) == 0
    assert Bundle.open(source / "x.edge").manifest.name == "tiny"


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_an_output_that_is_a_file_is_kept(
    checkpoint: Path, out: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (out / "x.edge").write_text("mine", encoding="utf-8")
    refusal(capsys, "export", checkpoint, "-o", out / "x.edge", *options, code=2)
    assert (out / "x.edge").read_text(encoding="utf-8") == "mine"
    assert names(out) == ["x.edge"]


def test_an_output_below_a_file_cannot_be_written(
    checkpoint: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out / "file").write_text("mine", encoding="utf-8")
    assert "cannot write" in refusal(capsys, "export", checkpoint, "-o", out / "file" / "x.edge")
    assert names(out) == ["file"]


def test_an_output_in_a_folder_of_others_cannot_be_written(
    checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mkdir = Path.mkdir

    def refuse(path: Path, *arguments: object, **options: object) -> None:
        if out in path.parents:  # what a test as root could not be refused
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        mkdir(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    said = refusal(capsys, "export", checkpoint, "-o", out / "x.edge")
    assert "Permission denied" in said
    assert "hint: check the permissions" in said
    assert names(out) == []


@pytest.mark.parametrize(
    ("keep", "to"), [(False, "onnx"), (True, "onnx"), (False, "tflite"), (True, "openvino,tflite")]
)
def test_a_disk_that_fills_up(
    checkpoint: Path, out: Path, keep: bool, to: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    if keep:
        request.getfixturevalue("old")
    write, room = PackedFile.write, [10]

    def full(file: PackedFile, *arguments: object) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PackedFile, "write", full)
    said = refusal(capsys, "export", checkpoint, "-o", out / "x.edge", "--force", "--to", to)
    assert "the disk is full" in said
    assert "free some space" in said
    assert names(out) == (["x.edge"] if keep else [])
    if keep:
        assert Bundle.open(out / "x.edge").manifest.name == "old"


if sys.platform != "win32":  # which has no such limits, and sends Ctrl-C to whole consoles

    def test_a_limit_on_the_size_of_files(checkpoint: Path, out: Path) -> None:
        arguments = ["export", str(checkpoint), "-o", str(out / "x.edge"), "--quantize", "none"]
        done = subprocess.run(
            [sys.executable, "-B", "-c", LIMITED, *arguments],
            capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stdout == ""
        assert "error: a file of" in done.stderr
        assert "Traceback" not in done.stderr
        assert names(out) == []

    def test_ctrl_c_in_the_middle(checkpoint: Path, old: Path, out: Path, tmp_path: Path) -> None:
        process = start(checkpoint, out / "x.edge", tmp_path / "marker")
        assert names(out) == [".x.edge.edgekit-partial", "x.edge"]
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
        assert (process.returncode, printed) == (130, "")
        assert said.splitlines()[-1] == "error: interrupted"
        assert "Traceback" not in said
        assert names(out) == ["x.edge"]
        assert Bundle.open(old).manifest.name == "old"


def test_a_kill_in_the_middle_and_the_next_export(checkpoint: Path, old: Path, out: Path, tmp_path: Path) -> None:
    process = start(checkpoint, out / "x.edge", tmp_path / "marker")
    process.kill()
    process.communicate(timeout=60)
    assert Bundle.open(old).manifest.name == "old"
    assert names(out) == [".x.edge.edgekit-partial", "x.edge"]
    assert main(["export", str(checkpoint), "-o", str(old), "--name", "new", "--force", "--json"]) == 0
    assert names(out) == ["x.edge"]
    assert Bundle.open(old).manifest.name == "new"
    assert main(["run", str(old), "hello", "--max-tokens", "2"]) == 0

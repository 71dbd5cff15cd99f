from __future__ import annotations

import json
import os
import time
from collections import namedtuple
from pathlib import Path

import pytest

from edgekit.manifest import FileEntry
from edgekit_runtimes._tflite_weight_cache import MEMORY, UNFINISHED_SECONDS, UNUSED_SECONDS, WeightCache

MODEL = FileEntry(size=1000, sha256="a" * 64)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    return tmp_path / "tflite"


def make(model: FileEntry = MODEL, engine: str = "2.3.0", contents: bytes = b"packed") -> Path:
    """Load as the first one."""
    with WeightCache(model, engine) as path:
        assert Path(path).read_bytes() == b"", "the engine finds nothing to trust"
        Path(path).write_bytes(contents)
    return Path(path)


def found(model: FileEntry = MODEL, engine: str = "2.3.0") -> Path | None:
    """Load again: the file that is used, None where one is made."""
    with WeightCache(model, engine) as path:
        contents = Path(path).read_bytes()
        if not contents:
            Path(path).write_bytes(b"packed anew")
    return Path(path) if contents else None


def test_a_finished_file_is_used_again() -> None:
    assert found() is None
    assert found() is not None


def test_other_weights_and_other_engines_have_files_of_their_own() -> None:
    made = make()
    assert found(FileEntry(size=1000, sha256="b" * 64)) is None
    assert found(engine="2.4.0") is None
    assert found() == made


@pytest.mark.parametrize("contents", [b"pack", b"PACKED", b""])
def test_a_damaged_or_foreign_file_is_removed_and_made_again(contents: bytes, caplog: pytest.LogCaptureFixture) -> None:
    made = make()
    made.write_bytes(contents)
    os.utime(made, (1, 1))
    assert found() is None
    assert not made.exists()
    assert str(made) in caplog.text
    assert found() is not None


def test_a_touched_file_with_the_same_contents_is_used() -> None:
    made = make()
    os.utime(made, (1, 1))
    assert found() == made


@pytest.mark.parametrize(
    "record",
    [b"", b"[]", b"{}", b'{"file": "../x.xnnpack", "size": 6, "mtime": 1, "sha256": ""}', b"\xff", b"[" * 100_000],
)
def test_a_record_that_cannot_be_read_is_as_none(record: bytes, folder: Path) -> None:
    make()
    next(folder.glob("*.json")).write_bytes(record)
    assert found() is None
    assert found() is not None


def test_a_load_that_fails_leaves_nothing(folder: Path) -> None:
    def load() -> None:
        with WeightCache(MODEL, "2.3.0") as path:
            Path(path).write_bytes(b"half")
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        load()
    assert list(folder.iterdir()) == []


def test_a_file_that_the_engine_left_empty_is_not_recorded(folder: Path) -> None:
    with WeightCache(MODEL, "2.3.0"):
        pass
    assert list(folder.iterdir()) == []


def test_what_a_killed_load_left_is_not_used_and_removed_later(folder: Path) -> None:
    WeightCache(MODEL, "2.3.0").__enter__()
    (left,) = folder.iterdir()
    left.write_bytes(b"half")
    assert found() is None
    assert left.exists(), "it may be another process's, at work"
    past = time.time() - UNFINISHED_SECONDS - 1
    os.utime(left, (past, past))
    found(engine="2.4.0")
    assert not left.exists()
    assert found() is not None


def test_what_was_not_used_for_a_month_is_removed(folder: Path) -> None:
    made = make()
    past = time.time() - UNUSED_SECONDS - 1
    os.utime(made, (past, past))
    for record in folder.glob("*.json"):
        entry = json.loads(record.read_bytes())
        record.write_text(json.dumps({**entry, "mtime": made.stat().st_mtime_ns}), encoding="utf-8")
        os.utime(record, (past, past))
    assert found(engine="2.4.0") is None
    assert not made.exists()


def test_a_folder_that_cannot_be_written_is_said_and_done_without(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file where the folder should be", encoding="utf-8")
    with WeightCache(MODEL, "2.3.0") as path:
        assert path == MEMORY
    assert str(folder) in caplog.text


def test_a_full_disk_is_said_and_done_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    with WeightCache(MODEL, "2.3.0") as path:
        assert path == MEMORY
    assert list(folder.iterdir()) == []
    assert "free" in caplog.text

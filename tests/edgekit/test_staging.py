from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from edgekit import staging
from edgekit.staging import LockedError, Staging


def test_the_lock_is_exclusive_and_ends_with_close(tmp_path: Path) -> None:
    first, second = Staging(tmp_path / "out"), Staging(tmp_path / "out")
    first.open()
    with pytest.raises(LockedError):
        second.open()
    assert first.new.is_dir()  # the loser removed nothing
    first.close()
    first.close()
    second.open()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_removed_by_its_holder_while_one_waits_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Staging(tmp_path / "out")
    real, calls = staging.lock, []

    def lock_late(handle: int) -> None:
        real(handle)
        calls.append(handle)
        if len(calls) == 1 and sys.platform != "win32":  # as if the last holder had left just before
            (waiting.folder / "lock").unlink()
            waiting.folder.rmdir()

    monkeypatch.setattr(staging, "lock", lock_late)
    waiting.open()
    assert waiting.new.is_dir()
    waiting.close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_locked_for_lack_of_space_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left"):
        Staging(tmp_path / "out").open()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = Staging(tmp_path / "out")
    (left.new / "onnx").mkdir(parents=True)
    (left.new / "onnx" / "half").write_bytes(b"x")
    (left.folder / "lock").write_bytes(b"")
    fresh = Staging(tmp_path / "out")
    fresh.open()
    assert list(fresh.new.iterdir()) == []
    fresh.close()
    assert list(tmp_path.iterdir()) == []


if sys.platform != "win32":  # where links need privileges
    import fcntl

    def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
        (tmp_path / "precious" / "new").mkdir(parents=True)
        Staging(tmp_path / "out").folder.symlink_to(tmp_path / "precious")
        with pytest.raises(NotADirectoryError):
            Staging(tmp_path / "out").open()
        assert (tmp_path / "precious" / "new").is_dir()

    def test_a_file_system_without_locks_still_takes_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unsupported(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", unsupported)
        held = Staging(tmp_path / "out")
        held.open()
        assert held.new.is_dir()
        held.close()

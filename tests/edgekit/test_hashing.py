from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgekit import hashing
from edgekit.hashing import read_record, sha256_of, write_record
from edgekit.progress import Silent


@pytest.mark.parametrize("size", [0, 1, hashing.CHUNK, hashing.CHUNK + 1])
def test_any_size_is_hashed(tmp_path: Path, size: int) -> None:
    data = bytes(index % 251 for index in range(1000)) * (size // 1000 + 1)
    (tmp_path / "x").write_bytes(data[:size])
    assert sha256_of(tmp_path / "x", Silent()) == hashlib.sha256(data[:size]).hexdigest()


def test_a_record_is_kept_per_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    record: hashing.Record = {"ünï": (3, 1_700_000_000_000_000_001, "ab")}
    write_record(tmp_path / "a", record)
    assert read_record(tmp_path / "a") == record
    assert read_record(tmp_path / "b") == {}
    assert len(list((tmp_path / "cache" / "bundles").iterdir())) == 1

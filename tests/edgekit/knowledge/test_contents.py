"""The files of a knowledge base, alone: what is committed, replaced, removed, compacted, and what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import knowledge_shelf as shelf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import KnowledgeError
from edgekit.knowledge.contents import Contents
from edgekit.knowledge.store import FILE
from edgekit.knowledge.vectors import BLOCK
from edgekit.progress import Silent

NAMES = st.sampled_from(["doc1", "doc2", "doc3"])


def vector_file(folder: Path) -> Path:
    (path,) = folder.glob("vectors-*.f32")
    return path


@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 3)), max_size=8))
def test_whatever_comes_and_goes_it_holds_the_last_of_each(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    contents = shelf.make(tmp_path_factory.mktemp("kb"))
    expected: dict[str, int] = {}
    for name, version in steps:
        if version:
            outcome = contents.commit([shelf.entry(name, version)])
            known = expected.get(name)
            assert outcome == ["added" if known is None else "unchanged" if known == version else "replaced"]
            expected[name] = version
        else:
            assert contents.remove([name]) == ([name] if name in expected else [])
            expected.pop(name, None)
    assert shelf.held(contents) == expected
    contents.compact()
    assert shelf.held(contents) == expected
    folder = contents.folder
    contents.close()
    reopened = Contents.open(folder)
    reopened.check(Silent(), whatever=True)
    assert shelf.held(reopened) == expected
    with reopened.snapshot() as found:
        assert not len(found.removed)
        assert vector_file(folder).stat().st_size == found.vectors.nbytes
    reopened.close()


def test_many_at_once_cross_blocks_and_are_compacted_by_themselves(tmp_path: Path) -> None:
    contents = shelf.make(tmp_path)
    contents.commit([shelf.entry("doc1", chunks=5), shelf.entry("doc2", chunks=BLOCK + 50)])
    contents.commit([shelf.entry("doc3", chunks=9)])
    contents.check(Silent(), whatever=True)
    assert vector_file(tmp_path).name == "vectors-1.f32"
    contents.remove(["doc2"])
    assert vector_file(tmp_path).name == "vectors-2.f32"
    assert vector_file(tmp_path).stat().st_size == 14 * shelf.WIDTH * 4
    assert shelf.held(contents) == {"doc1": 1, "doc3": 1}
    contents.close()


def test_a_document_without_chunks_takes_the_old_one_out(tmp_path: Path) -> None:
    contents = shelf.make(tmp_path)
    contents.commit([shelf.entry("doc1")])
    contents.commit([shelf.entry("doc1", 2, chunks=0)])
    assert shelf.held(contents) == {}
    contents.close()


def test_an_error_within_a_commit_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = shelf.make(tmp_path)
    contents.commit([shelf.entry("doc1")])
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            contents.commit([shelf.entry("doc1", 2), shelf.entry("doc2")])
    assert shelf.held(contents) == {"doc1": 1}
    contents.commit([shelf.entry("doc3", chunks=3)])
    contents.check(Silent(), whatever=True)
    assert shelf.held(contents) == {"doc1": 1, "doc3": 1}
    contents.close()


def test_what_another_process_commits_is_seen(tmp_path: Path) -> None:
    first, second = shelf.make(tmp_path), Contents.open(tmp_path)
    assert shelf.held(second) == {}
    first.commit([shelf.entry("doc1")])
    assert shelf.held(second) == {"doc1": 1}
    second.compact()
    assert shelf.held(first) == {"doc1": 1}
    first.close()
    second.close()


def test_who_waits_too_long_for_another_is_told(tmp_path: Path) -> None:
    first, second = shelf.make(tmp_path), Contents.open(tmp_path)
    second.store.patience(0.05)
    with first.store.write():
        assert shelf.held(second) == {}
        with pytest.raises(KnowledgeError, match=r"another process is writing .* after 0 s"):
            second.commit([shelf.entry("doc1")])
    assert second.commit([shelf.entry("doc1")]) == ["added"]
    first.close()
    second.close()


def changed(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (
        lambda path: changed(path, 4 * shelf.WIDTH * BLOCK + 8),
        r"rows 1,024 to 2,047 do not match their SHA-256",
    ),
    "cut": (
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        r"74,175 bytes, 1,159 rows need 74,176: it is damaged",
    ),
    "missing": (lambda path: path.unlink(), "the file is missing"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
    "a link": (
        lambda path: (path.rename(path.with_name("x")), path.symlink_to(path.with_name("x"))),
        "is not a regular",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_vector_file_is_found(damage: str, tmp_path: Path) -> None:
    contents = shelf.make(tmp_path)
    contents.commit([shelf.entry("doc1", chunks=BLOCK + 135)])
    contents.close()
    spoil, words = DAMAGES[damage]
    spoil(vector_file(tmp_path))
    opened = Contents.open(tmp_path)
    with pytest.raises(KnowledgeError, match=words):
        opened.check(Silent())
    # Neither adding nor compacting hides it below new hashes.
    with pytest.raises(KnowledgeError, match=words):
        opened.commit([shelf.entry("doc2")])
    with pytest.raises(KnowledgeError, match=words):
        opened.compact()
    opened.close()


def test_vectors_are_hashed_again_only_where_they_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = shelf.make(tmp_path)
    contents.commit([shelf.entry("doc1")])
    hashed: list[int] = []
    monkeypatch.setattr("edgekit.knowledge.vectors.VectorFile.check", lambda self, rows, known: hashed.append(rows))
    contents.check(Silent())
    assert hashed == []
    vector_file(tmp_path).touch()
    contents.check(Silent())
    contents.check(Silent())
    assert len(hashed) == 1
    contents.close()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="there is no such folder"):
        Contents.open(tmp_path / "none")
    with pytest.raises(KnowledgeError, match=r"knowledge\.db is missing"):
        Contents.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(KnowledgeError, match="is a file"):
        Contents.open(tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + bytes(4080)])
def test_a_database_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(KnowledgeError, match=r"is damaged or no knowledge base|is no knowledge base"):
        Contents.open(tmp_path)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TRIGGER evil AFTER UPDATE ON state BEGIN DELETE FROM documents; END", "holds trigger 'evil'"),
        ("CREATE VIEW evil AS SELECT 1", "holds view 'evil'"),
        ("DROP TABLE removed", "create table removed is missing"),
        ("UPDATE base SET version = 2", "is of version 2, this EdgeKit reads 1"),
        ("UPDATE base SET width = -1", "out of its range"),
        ("UPDATE base SET width = x'00'", "base has no right row"),
        ("UPDATE base SET encoder = '../x'", "out of its range"),
        ("DELETE FROM base", "base has no right row"),
    ],
)
def test_a_hostile_database_is_refused(statement: str, words: str, tmp_path: Path) -> None:
    shelf.make(tmp_path).close()
    database = sqlite3.connect(tmp_path / FILE)
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(KnowledgeError, match=words):
        Contents.open(tmp_path)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE state SET rows = 1 << 30", "rows need"),
        ("UPDATE state SET rows = 'many'", "state has no right row"),
        ("UPDATE state SET generation = -1", "state has no right row"),
        ("UPDATE chunks SET text = x'00ff'", "value of another kind"),
        ("UPDATE documents SET name = x'00ff'", "value of another kind"),
        ("DELETE FROM words_data", "malformed|damaged"),
    ],
)
def test_hostile_values_are_refused_when_they_are_read(statement: str, words: str, tmp_path: Path) -> None:
    contents = shelf.make(tmp_path)
    contents.commit([shelf.entry("doc1")])
    contents.close()
    database = sqlite3.connect(tmp_path / FILE)
    database.execute(statement)
    database.commit()
    database.close()
    opened = Contents.open(tmp_path)
    with pytest.raises(KnowledgeError, match=words):
        shelf.held(opened)
    opened.close()


def test_a_damaged_page_of_the_database_is_no_crash(tmp_path: Path) -> None:
    contents = shelf.make(tmp_path)
    contents.commit([shelf.entry(f"doc{number}") for number in range(40)])
    contents.close()
    whole = (tmp_path / FILE).read_bytes()
    random = np.random.default_rng(5)
    refused = 0
    for _ in range(12):
        raw = bytearray(whole)
        start = int(random.integers(0, len(raw) - 64))
        raw[start : start + 64] = random.bytes(64)
        (tmp_path / FILE).write_bytes(raw)
        try:
            opened = Contents.open(tmp_path)
        except KnowledgeError:
            refused += 1
            continue
        try:
            shelf.held(opened)
        except (KnowledgeError, AssertionError, ValueError):
            refused += 1
        finally:
            opened.close()
    assert refused > 2

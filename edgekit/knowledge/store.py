"""The database of a knowledge base: documents, chunks, words, and which rows of the vector file count.

SQLite, because what is asked of it is what SQLite is tested for more than anything else: transactions that a kill or a
power cut does not harm, locks between processes, and an inverted index (FTS5) that is kept as documents come and go. It
is in the standard library. The file may come from a stranger: its schema must be ours to the letter, so that it has no
triggers, views or expressions that would run, and every value is checked as it is read.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import KnowledgeError
from edgekit.knowledge.chunks import Chunk
from edgekit.knowledge.keywords import Statistics, words
from edgekit.knowledge.vectors import AGAIN

FILE = "knowledge.db"
VERSION = 1
WAIT = 30.0
"""Seconds that a process waits for another one's transaction."""
COMMON = 2000
"""Chunks that are looked at for their words, at most. Words that are commoner find nothing that vectors would not, but
count in what is found otherwise."""

_TABLES = (
    "CREATE TABLE base(version INTEGER, identity TEXT, encoder TEXT, width INTEGER, longest INTEGER, threshold REAL)",
    "CREATE TABLE state(revision INTEGER, generation INTEGER, rows INTEGER, words INTEGER)",
    "CREATE TABLE documents(id INTEGER PRIMARY KEY, name TEXT UNIQUE, sha256 TEXT)",
    "CREATE TABLE chunks(id INTEGER PRIMARY KEY, document INT, row INT UNIQUE, line INT, path TEXT, text TEXT)",
    "CREATE INDEX chunks_of ON chunks(document)",
    "CREATE TABLE removed(row INTEGER PRIMARY KEY)",
    "CREATE TABLE blocks(number INTEGER PRIMARY KEY, sha256 TEXT)",
    "CREATE VIRTUAL TABLE words USING fts5(stems, tokenize = 'unicode61 remove_diacritics 0')",
)
_CHUNKS = (
    "SELECT chunks.id, row, name, line, path, text, stems FROM chunks "
    "JOIN documents ON documents.id = document JOIN words ON words.rowid = chunks.id"
)
_VOCABULARY = "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'words', 'row')"
_SHADOWS = frozenset({"words_data", "words_idx", "words_content", "words_docsize", "words_config"})
_LARGEST = 1 << 40
_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""The second where SQLite's words about a damaged file quote bytes of it."""
_BATCH = 500
"""Values in one statement; SQLite's own limit was 999 for long."""


@dataclass(frozen=True)
class Base:
    """What never changes but for the threshold."""

    identity: str
    """Of this knowledge base, 32 hex digits."""
    encoder: str
    """The content hash of the bundle that made the vectors."""
    width: int
    longest: int
    """Tokens of a chunk at most."""
    threshold: float


@dataclass(frozen=True)
class State:
    """What changes with every transaction that writes."""

    revision: int
    generation: int
    rows: int
    """Of the vector file, removed ones among them."""
    words: int
    """In all chunks."""


@dataclass(frozen=True)
class Stored:
    """A chunk as it lies in the database."""

    id: int
    row: int
    source: str
    chunk: Chunk
    stems: list[str]


class Store:
    """An open database. Its methods are called within `read` or `write`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA trusted_schema = OFF")
        self._connection.execute("PRAGMA cell_size_check = ON")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._wait = WAIT

    @classmethod
    def create(cls, path: Path, base: Base) -> None:
        """Write a new database.

        Raises:
            KnowledgeError: this Python's SQLite has no FTS5.
        """
        path.touch()
        store = cls(path)
        try:
            with store.write():
                for statement in _TABLES:
                    store._connection.execute(statement)
                values = (VERSION, base.identity, base.encoder, base.width, base.longest, base.threshold)
                store._connection.execute("INSERT INTO base VALUES (?, ?, ?, ?, ?, ?)", values)
                store._connection.execute("INSERT INTO state VALUES (0, 1, 0, 0)")
        finally:
            store.close()

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a database and check that its schema is ours.

        Raises:
            KnowledgeError: it is none, is damaged, hostile, locked or too new.
        """
        try:
            store = cls(path)
        except _ERRORS as error:
            raise _words_of(path, error, WAIT) from error
        try:
            with store.read():
                store._check_schema()
            with store._told():
                store._connection.execute(_VOCABULARY)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close it. Closing twice does nothing."""
        self._connection.close()

    def patience(self, seconds: float) -> None:
        """Wait so long for other processes from now on."""
        self._wait = seconds
        self._connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """See one state of the database, whatever other processes write meanwhile."""
        with self._told():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                # An error of SQLite may have ended the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        """Change it as a whole, alone among all processes; an exception within undoes everything."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _ERRORS as error:
            raise _words_of(self.path, error, self._wait) from error

    def base(self) -> Base:
        """Return what the knowledge base is."""
        row = self._one("SELECT version, identity, encoder, width, longest, threshold FROM base")
        kinds = (int, str, str, int, int, float)
        if row is None or [type(value) for value in row] != list(kinds):
            raise self._damaged("the table base has no right row")
        version, identity, encoder, width, longest, threshold = row
        if version != VERSION:
            hint = "pip install -U edgekit-sdk" if version > VERSION else AGAIN
            raise KnowledgeError(f"{self.path}: is of version {version}, this EdgeKit reads {VERSION}", hint)
        hexadecimal = re.fullmatch(r"[0-9a-f]{32}", identity) and re.fullmatch(r"[0-9a-f]{64}", encoder)
        if not hexadecimal or not 0 < width <= 1 << 20 or not 0 < longest <= 1 << 30 or not -2 <= threshold <= 2:
            raise self._damaged("the table base has a value out of its range")
        return Base(identity, encoder, width, longest, threshold)

    def state(self) -> State:
        """Return the state."""
        row = self._one("SELECT revision, generation, rows, words FROM state")
        if row is None or not all(type(value) is int and 0 <= value < _LARGEST for value in row):
            raise self._damaged("the table state has no right row")
        return State(*row)

    def change(self, state: State, blocks: dict[int, str]) -> None:
        """Set the state, with a new revision, and the hashes of blocks that changed."""
        self._run(
            "UPDATE state SET revision = ?, generation = ?, rows = ?, words = ?",
            (state.revision + 1, state.generation, state.rows, state.words),
        )
        self._many("INSERT OR REPLACE INTO blocks VALUES (?, ?)", blocks.items())

    def set_threshold(self, threshold: float) -> None:
        """Set what `ask` declines below."""
        self._run("UPDATE base SET threshold = ?", (threshold,))

    def blocks(self) -> dict[int, str]:
        """Return the hashes of the vector file's blocks."""
        return dict(self._all("SELECT number, sha256 FROM blocks"))

    def forget_blocks(self) -> None:
        """Drop all hashes, for another vector file."""
        self._run("DELETE FROM blocks")

    def removed(self) -> list[int]:
        """Return the rows of the vector file that count no more."""
        return [row for (row,) in self._all("SELECT row FROM removed") if type(row) is int]

    def sha256_of(self, name: str) -> str | None:
        """Return the hash of a document, None where there is none of this name."""
        found = self._one("SELECT sha256 FROM documents WHERE name = ?", (name,))
        return str(found[0]) if found else None

    def chunk_counts(self) -> dict[str, int]:
        """Return the number of chunks of every document by its name."""
        return dict(
            self._all(
                "SELECT name, count(chunks.id) FROM documents LEFT JOIN chunks ON document = documents.id "
                "GROUP BY name ORDER BY name"
            )
        )

    def put(self, name: str, sha256: str, chunks: Sequence[Chunk], row: int) -> int:
        """Add a document whose vectors begin at a row; return the number of its words."""
        document = self._run("INSERT INTO documents(name, sha256) VALUES (?, ?)", (name, sha256)).lastrowid
        total = 0
        for number, chunk in enumerate(chunks):
            stems = words(chunk.embedded)
            total += len(stems)
            values = (document, row + number, chunk.line, "\n".join(chunk.headings), chunk.text)
            inserted = self._run("INSERT INTO chunks(document, row, line, path, text) VALUES (?, ?, ?, ?, ?)", values)
            self._run("INSERT INTO words(rowid, stems) VALUES (?, ?)", (inserted.lastrowid, " ".join(stems)))
        return total

    def drop(self, name: str) -> int:
        """Take a document out that is there; return the number of its words."""
        found = self._one("SELECT id FROM documents WHERE name = ?", (name,))
        total = 0
        for chunk, row, stems in self._all(
            "SELECT chunks.id, row, stems FROM chunks JOIN words ON words.rowid = chunks.id WHERE document = ?", found
        ):
            total += len(stems.split())
            self._run("DELETE FROM words WHERE rowid = ?", (chunk,))
            self._run("INSERT INTO removed VALUES (?)", (row,))
        self._run("DELETE FROM chunks WHERE document = ?", found)
        self._run("DELETE FROM documents WHERE id = ?", found)
        return total

    def renumber(self) -> list[int]:
        """Number the chunks' rows from 0 in their order, and return the rows that they had."""
        rows = [row for (row,) in self._all("SELECT row FROM chunks ORDER BY row")]
        # Rows only become smaller, so going upwards no two are ever the same.
        self._many("UPDATE chunks SET row = ? WHERE row = ?", enumerate(rows))
        self._run("DELETE FROM removed")
        return rows

    def with_words(self, stems: Sequence[str], limit: int, statistics: Statistics) -> list[int]:
        """Return the ids of the chunks that fit the rarest of these words best by BM25."""
        chosen: list[str] = []
        seen = 0
        for stem in sorted(stems, key=lambda stem: statistics.frequency.get(stem, 0)):
            count = statistics.frequency.get(stem, 0)
            if seen + count > COMMON:
                break
            if count:
                chosen.append(f'"{stem}"')
                seen += count
        if not chosen:
            return []
        query = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        return [found for (found,) in self._all(query, (" OR ".join(chosen), limit))]

    def statistics(self, stems: Iterable[str], state: State, chunks: int) -> Statistics:
        """Return what BM25 must know for these words."""
        frequency = {}
        for stem in stems:
            found = self._one("SELECT doc FROM temp.vocabulary WHERE term = ?", (stem,))
            frequency[stem] = found[0] if found else 0
        return Statistics(chunks, state.words, frequency)

    def by_row(self, rows: Sequence[int]) -> list[Stored]:
        """Return the chunks whose vectors are these rows."""
        return self._stored("row", rows)

    def by_id(self, ids: Sequence[int]) -> list[Stored]:
        """Return the chunks of these ids."""
        return self._stored("chunks.id", ids)

    def _stored(self, column: str, values: Sequence[int]) -> list[Stored]:
        found: list[Stored] = []
        for start in range(0, len(values), _BATCH):
            part = values[start : start + _BATCH]
            query = f"{_CHUNKS} WHERE {column} IN ({','.join('?' * len(part))})"
            for row in self._all(query, part):
                if [type(value) for value in row] != [int, int, str, int, str, str, str]:
                    raise self._damaged("the table chunks has a value of another kind")
                chunk, place, name, line, headings, text, stems = row
                path = tuple(headings.split("\n")) if headings else ()
                found.append(Stored(chunk, place, name, Chunk(text, line, path), stems.split()))
        return found

    def _check_schema(self) -> None:
        ours = set(_TABLES)
        for kind, name, statement in self._all("SELECT type, name, sql FROM sqlite_master"):
            automatic = kind == "index" and statement is None
            shadow = kind == "table" and name in _SHADOWS
            if statement in ours:
                ours.remove(statement)
            elif not automatic and not shadow:
                raise KnowledgeError(f"{self.path}: is no knowledge base: it holds {kind} {name!a:.80}", AGAIN)
        if ours:
            raise KnowledgeError(
                f"{self.path}: is no knowledge base: {min(ours).split('(')[0].lower()} is missing", AGAIN
            )

    def _run(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(statement, values)

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def _one(self, statement: str, values: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - a row of SQLite's values
        return self._connection.execute(statement, values).fetchone()

    def _damaged(self, problem: str) -> KnowledgeError:
        return KnowledgeError(f"{self.path}: is damaged: {problem}", AGAIN)


def _words_of(path: Path, error: Exception, waited: float) -> KnowledgeError:
    """Return what an error of SQLite means; see "Result and Error Codes" of its documentation."""
    text = str(error)
    if "closed database" in text:
        return KnowledgeError(f"{path.parent}: the knowledge base is closed", "open it again")
    if "locked" in text:
        return KnowledgeError(
            f"{path}: another process is writing to this knowledge base, and was not done after {waited:.0f} s",
            "try again when it has ended",
        )
    if "no such module: fts5" in text:
        return KnowledgeError("this Python's SQLite has no full-text search (FTS5)", "use a Python built with it")
    if "readonly" in text or "unable to open" in text:
        return KnowledgeError(f"{path}: cannot be opened or written: {text}", "check the permissions of the folder")
    if "full" in text:
        return KnowledgeError(f"{path}: no space left on the disk", "free some space; nothing was changed")
    return KnowledgeError(f"{path}: is damaged or no knowledge base: {text}", AGAIN)

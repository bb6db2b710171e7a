"""A store in one SQLite file that one process owns: what was committed survives `kill -9`.

A damaged file stops the program, unless the caller says that it can be rebuilt.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nm_bus.errors import StorageError
from nm_bus.messages import Seconds

# --- One SQLite file that one process owns: opened, checked, changed in transactions.
#
# WAL with `synchronous=FULL` flushes at each commit; the exclusive lock keeps a second instance
# out. Tables are STRICT, so that the check at the opening finds values of another type than was
# written. Whatever SQLite or the system says becomes a StorageError of one sentence. No table is
# known here.

_PATIENCE: Seconds = 1.0
"""How long to wait for another process to let go of the file."""

_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}

_PLAIN = {
    "SQLITE_BUSY": "another process uses it; is this program running twice?",
    "SQLITE_FULL": "the disk is full, or the file has reached its limit; make room",
    "SQLITE_CANTOPEN": "it cannot be opened; see whether its folder is there and may be written",
    "SQLITE_READONLY": "it cannot be written; see the permissions of the file and its folder",
    "SQLITE_IOERR": "the disk does not take it; see the kernel's log",
    "SQLITE_PERM": "it cannot be opened; see the permissions of the file and its folder",
}

T = TypeVar("T")


class DamagedError(StorageError):
    """The file is no database any more, or parts of it contradict one another."""

    def __init__(self, path: Path, fix: str) -> None:
        super().__init__(f"{path}: the file is damaged; {fix}")


class SqliteFile:
    """An open file. Raises StorageError, with nothing left open, when it cannot be had.

    `fix` is what to do about a damaged file, as the end of a sentence; `max_bytes` its limit.
    """

    def __init__(self, path: Path, *, max_bytes: int, fix: str) -> None:
        self.path, self._fix = path, fix
        if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            raise StorageError(f"{path}: {_PLAIN['SQLITE_READONLY']}")  # SQLite says less clearly
        with self._plainly():
            self._db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            try:
                self._prepare(max_bytes)
            except BaseException:
                self._db.close()
                raise

    def script(self, statements: str) -> None:
        """Run statements that have no values, one transaction each."""
        with self._plainly():
            self._db.executescript(statements)

    def run(self, statement: str, values: Iterable[Any] = ()) -> int:
        """Run one statement; gives how many rows it changed."""
        with self._plainly():
            return self._db.execute(statement, tuple(values)).rowcount

    def run_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run one statement for each row of values, as one transaction."""
        rows = list(rows)
        if not rows:
            return
        with self.transaction(), self._plainly():
            self._db.executemany(statement, rows)

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        with self._plainly():
            return self._db.execute(query, tuple(values)).fetchall()

    def decoded(self, body: bytes, kind: type[T]) -> T:
        """A row's JSON as what was written. Raises DamagedError: SQLite checks no row's content."""
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            raise DamagedError(self.path, self._fix) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done inside is durable as a whole at its end, or with an exception not at all.

        A transaction inside another is a part of it.
        """
        if self._inside():
            yield
            return
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self._inside():  # a full disk has rolled it back already
                self.run("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file. Closing again is no error."""
        with self._plainly():
            self._db.close()

    def _inside(self) -> bool:
        with self._plainly():
            return self._db.in_transaction

    def _prepare(self, max_bytes: int) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: then it needs no shared memory
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (page_size,) = db.execute("PRAGMA page_size").fetchone()
        db.execute(f"PRAGMA max_page_count = {max_bytes // page_size}")
        db.execute("BEGIN EXCLUSIVE")  # takes the lock, which is then kept
        db.execute("COMMIT")
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DamagedError(self.path, self._fix)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = _code(error)
            if code in _DAMAGED:
                raise DamagedError(self.path, self._fix) from error
            raise StorageError(f"{self.path}: {_PLAIN.get(code, str(error))}") from error
        except UnicodeDecodeError as error:  # SQLite quotes what a damaged file says
            raise DamagedError(self.path, self._fix) from error
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}") from error


def _code(error: sqlite3.Error) -> str:
    """The primary error code: SQLITE_IOERR_WRITE is a kind of SQLITE_IOERR."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])


SCHEMA = 1
"""The version of the tables below. A file of a later one is not touched."""

MAX_BYTES = 1024**3
"""How large a file may grow."""

_PAGE = 100
"""How many items are in memory at once while a kind is loaded."""

_TABLES = """
CREATE TABLE IF NOT EXISTS about (
    name TEXT PRIMARY KEY, value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
"""

_FIX = "bring back a copy, or move it away to begin again"


class SqliteStore:
    """A `Store` in a file, opened by `open_store`."""

    def __init__(self, file: SqliteFile, moved_aside: Path | None) -> None:
        self.path = file.path
        self.moved_aside = moved_aside
        """Where a damaged file was moved when this one was begun again, for the log."""
        self._file = file

    def put_many(self, kind: str, items: Mapping[str, bytes]) -> None:
        """See Store."""
        rows = [(kind, key, value) for key, value in items.items()]
        self._file.run_many("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", rows)

    def delete(self, kind: str, keys: Iterable[str]) -> None:
        """See Store."""
        rows = [(kind, key) for key in keys]
        self._file.run_many("DELETE FROM items WHERE kind = ? AND key = ?", rows)

    def load(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """See Store."""
        page = self._page(kind, "")
        while page:
            yield from page
            page = self._page(kind, page[-1][0])

    def transaction(self) -> AbstractContextManager[None]:
        """See Store."""
        return self._file.transaction()

    def close(self) -> None:
        """See Store."""
        self._file.close()

    def _page(self, kind: str, after: str) -> list[tuple[str, bytes]]:
        query = "SELECT key, value FROM items WHERE kind = ? AND key > ? ORDER BY key LIMIT ?"
        return [(key, value) for key, value in self._file.rows(query, (kind, after, _PAGE))]


def open_store(path: Path, *, rebuildable: bool = False, max_bytes: int = MAX_BYTES) -> SqliteStore:
    """Open or make the file; its folder must be there.

    A damaged file is moved aside and begun again when `rebuildable`: what is in it can be had
    again, say from the other supernodes. Raises StorageError, with nothing left open.
    """
    try:
        return SqliteStore(_opened(path, max_bytes), None)
    except DamagedError:
        if not rebuildable:
            raise
    aside = _move_aside(path)
    return SqliteStore(_opened(path, max_bytes), aside)


def _opened(path: Path, max_bytes: int) -> SqliteFile:
    file = SqliteFile(path, max_bytes=max_bytes, fix=_FIX)
    try:
        _check_schema(file)
    except BaseException:
        file.close()
        raise
    return file


def _check_schema(file: SqliteFile) -> None:
    file.script(_TABLES)
    found = file.rows("SELECT value FROM about WHERE name = 'schema'")
    if found and found[0][0] > SCHEMA:
        raise StorageError(
            f"{file.path}: it was written by a later version of nm-bus (tables {found[0][0]}, known"
            f" {SCHEMA}); upgrade, or move the file away to begin again"
        )
    file.run("INSERT OR REPLACE INTO about VALUES ('schema', ?)", (SCHEMA,))


def _move_aside(path: Path) -> Path:
    """Give a damaged file a dated name, its log too, so that somebody can look into it."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    try:
        for ending in ("-wal", "-journal", "-shm"):
            log = path.with_name(path.name + ending)
            if log.exists():
                log.rename(aside.with_name(aside.name + ending))
        return path.rename(aside)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error

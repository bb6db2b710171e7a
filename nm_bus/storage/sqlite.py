"""A store in one SQLite file that one process owns: what was committed survives `kill -9`.

WAL with `synchronous=FULL` flushes at each commit; the exclusive lock keeps a second instance out.
A damaged file stops the program, unless the caller says that it can be rebuilt.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nm_bus.errors import StorageError
from nm_bus.messages import Seconds

SCHEMA = 1
"""The version of the tables below. A file of a later one is not touched."""

MAX_BYTES = 1024**3
"""How large a file may grow."""

_PATIENCE: Seconds = 1.0
"""How long to wait for another process to let go of the file."""

_PAGE = 100
"""How many items are in memory at once while a kind is loaded."""

_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
"""

_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}

_PLAIN = {
    "SQLITE_BUSY": "another process uses it; is this program running twice?",
    "SQLITE_FULL": "the disk is full, or the file has reached its limit; make room",
    "SQLITE_CANTOPEN": "it cannot be opened; see whether its folder is there and may be written",
    "SQLITE_READONLY": "it cannot be written; see the permissions of the file and its folder",
    "SQLITE_IOERR": "the disk does not take it; see the kernel's log",
    "SQLITE_PERM": "it cannot be opened; see the permissions of the file and its folder",
}


class _DamagedError(StorageError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: the file is damaged; bring back a copy, or move it away to begin anew"
        )


class SqliteStore:
    """A `Store` in a file, opened by `open_store`."""

    def __init__(self, path: Path, db: sqlite3.Connection, moved_aside: Path | None) -> None:
        self.path = path
        self.moved_aside = moved_aside
        """Where a damaged file was moved when this one was begun anew, for the log."""
        self._db = db

    def put_many(self, kind: str, items: Mapping[str, bytes]) -> None:
        """See Store."""
        rows = [(kind, key, value) for key, value in items.items()]
        with self.transaction(), _plainly(self.path):
            self._db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", rows)

    def delete(self, kind: str, keys: Iterable[str]) -> None:
        """See Store."""
        rows = [(kind, key) for key in keys]
        with self.transaction(), _plainly(self.path):
            self._db.executemany("DELETE FROM items WHERE kind = ? AND key = ?", rows)

    def load(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """See Store."""
        page = self._page(kind, "")
        while page:
            yield from page
            page = self._page(kind, page[-1][0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See Store."""
        if self._inside():
            yield
            return
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            if self._inside():  # a full disk has rolled it back already
                self._run("ROLLBACK")
            raise

    def close(self) -> None:
        """See Store."""
        with _plainly(self.path):
            self._db.close()

    def _inside(self) -> bool:
        with _plainly(self.path):
            return self._db.in_transaction

    def _page(self, kind: str, after: str) -> list[tuple[str, bytes]]:
        query = "SELECT key, value FROM items WHERE kind = ? AND key > ? ORDER BY key LIMIT ?"
        with _plainly(self.path):
            return self._db.execute(query, (kind, after, _PAGE)).fetchall()

    def _run(self, statement: str) -> None:
        with _plainly(self.path):
            self._db.execute(statement)


def open_store(path: Path, *, rebuildable: bool = False, max_bytes: int = MAX_BYTES) -> SqliteStore:
    """Open or make the file; its folder must be there.

    A damaged file is moved aside and begun anew when `rebuildable`: what is in it can be had
    again, say from the other supernodes. Raises StorageError, with nothing left open.
    """
    try:
        return SqliteStore(path, _connected(path, max_bytes), None)
    except _DamagedError:
        if not rebuildable:
            raise
    aside = _move_aside(path)
    return SqliteStore(path, _connected(path, max_bytes), aside)


def _connected(path: Path, max_bytes: int) -> sqlite3.Connection:
    if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise StorageError(f"{path}: {_PLAIN['SQLITE_READONLY']}")  # SQLite says less clearly
    with _plainly(path):
        db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            _prepare(db, path, max_bytes)
            _check_schema(db, path)
        except BaseException:
            db.close()
            raise
        return db


def _prepare(db: sqlite3.Connection, path: Path, max_bytes: int) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: then it needs no shared memory
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    (page_size,) = db.execute("PRAGMA page_size").fetchone()
    db.execute(f"PRAGMA max_page_count = {max_bytes // page_size}")
    db.execute("BEGIN EXCLUSIVE")  # takes the lock, which is then kept
    db.execute("COMMIT")
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _DamagedError(path)


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    db.executescript(_TABLES)
    found = _about(db, "schema") or SCHEMA
    if found > SCHEMA:
        raise StorageError(
            f"{path}: it was written by a later version of nm-bus (tables {found}, known {SCHEMA});"
            " upgrade, or move the file away to begin anew"
        )
    _set_about(db, "schema", SCHEMA)


def _about(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def _set_about(db: sqlite3.Connection, name: str, value: int) -> None:
    db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))


def _move_aside(path: Path) -> Path:
    """Give a damaged file a dated name, its log too, so that somebody can look into it."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    with _plainly(path):
        for ending in ("-wal", "-journal", "-shm"):
            log = path.with_name(path.name + ending)
            if log.exists():
                log.rename(aside.with_name(aside.name + ending))
        return path.rename(aside)


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into a StorageError of one sentence."""
    try:
        yield
    except sqlite3.Error as error:
        code = _code(error)
        if code in _DAMAGED:
            raise _DamagedError(path) from error
        raise StorageError(f"{path}: {_PLAIN.get(code, str(error))}") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error


def _code(error: sqlite3.Error) -> str:
    """The primary error code: SQLITE_IOERR_WRITE is a kind of SQLITE_IOERR."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])

"""A store in one SQLite file that one process owns: what was committed survives `kill -9`.

A damaged file stops the program, unless the caller says that it can be rebuilt.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from nm_bus.errors import StorageError
from nm_bus.storage.sqlitefile import DamagedError, SqliteFile

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

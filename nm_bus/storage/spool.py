"""The spool: records that wait on disk until a broker has them, in one SQLite file.

It knows bytes and when they were measured, not what they mean. A record is removed when its owner
says so, and never by being read. Bounded by bytes and by age: the oldest go first and are counted.

Write-ahead log, `synchronous=NORMAL`: a killed process loses nothing at any point, a power cut may
lose the last seconds but never damages what was written before. An fsync for each measurement
would cost more than a lost one. A torn tail of the log is cut off by SQLite itself; a file that
cannot be read at all is put aside, and an empty spool takes its place.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nm_bus.errors import StorageError
from nm_bus.messages import Seconds

OVERHEAD = 32
"""What SQLite keeps beside a record's bytes, roughly; counted against the limit."""

_SETTINGS = """
PRAGMA auto_vacuum = FULL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 64;
PRAGMA journal_size_limit = 262144;
PRAGMA cache_size = -256;
PRAGMA temp_store = MEMORY;
CREATE TABLE IF NOT EXISTS spool (
    id INTEGER PRIMARY KEY AUTOINCREMENT, measured REAL NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS spool_measured ON spool (measured);
"""


FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; it may quote names out of a damaged file that are no text."""


@dataclass(frozen=True, slots=True)
class Record:
    """One kept record. `measured` is seconds since 1970 by the clock of who put it."""

    id: int
    measured: Seconds
    body: bytes


class Spool:
    """Records in the order in which they were put. Every method raises StorageError when the disk
    does not take what must be kept; what is in the spool stays as it was."""

    def __init__(self, connection: sqlite3.Connection, max_bytes: int, max_age: Seconds) -> None:
        self._db = connection
        self._max_bytes, self._max_age = max_bytes, max_age
        self.count, self.bytes = _held(connection)
        self.dropped = 0

    @classmethod
    def open(cls, path: Path, max_bytes: int, max_age: Seconds) -> Self:
        """Open or make the file. One that is no database is renamed to `<name>.damaged`."""
        try:
            return cls(_connect(path), max_bytes, max_age)
        except sqlite3.OperationalError as error:
            raise StorageError(f"{path}: the spool cannot be opened: {error}") from None
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            for suffix in ("", "-wal", "-shm"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.replace(path.with_name(f"{path.name}.damaged{suffix}"))
            return cls(_connect(path), max_bytes, max_age)

    def put(self, body: bytes, measured: Seconds, now: Seconds) -> Record:
        """Keep a record; the oldest make room for it. Durable when this returns."""
        with self._change() as db:
            row = db.execute("INSERT INTO spool (measured, body) VALUES (?, ?)", (measured, body))
            record = Record(row.lastrowid or 0, measured, body)
            self._grow(1, len(body) + OVERHEAD)
            self._drop_old(db, now)
            # the newest record stays, even one that is larger than the whole spool.
            while self.bytes > self._max_bytes and self.count > 1:
                self.dropped += self._delete(db, "id = (SELECT min(id) FROM spool)", ())
        return record

    def oldest(self, limit: int, beyond: frozenset[int] = frozenset()) -> list[Record]:
        """Up to `limit` records, the first put first, but for those whose ids are in `beyond`."""
        try:
            rows = self._db.execute(
                "SELECT id, measured, body FROM spool ORDER BY id LIMIT ?", (limit + len(beyond),)
            ).fetchall()
        except FAILURES as error:
            raise StorageError(f"the spool cannot be read: {error}") from None
        return [Record(*row) for row in rows if row[0] not in beyond][:limit]

    def retire(self, id: int) -> None:
        """Remove a record that is safe elsewhere. Harmless when it is gone already."""
        with self._change() as db:
            self._delete(db, "id = ?", (id,))

    def expire(self, now: Seconds) -> None:
        """Drop what is older than the spool keeps."""
        with self._change() as db:
            self._drop_old(db, now)

    def close(self) -> None:
        """Close the file. What it holds is there at the next start."""
        self._db.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        before = self.count, self.bytes, self.dropped
        try:
            with self._db:
                yield self._db
        except FAILURES as error:
            self.count, self.bytes, self.dropped = before
            raise StorageError(f"the spool cannot be written: {error}") from None

    def _grow(self, count: int, size: int) -> None:
        self.count += count
        self.bytes += size

    def _drop_old(self, db: sqlite3.Connection, now: Seconds) -> None:
        self.dropped += self._delete(db, "measured < ?", (now - self._max_age,))

    def _delete(self, db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> int:
        """`where` is one of this file's own conditions, never data."""
        count, size = _held(db, where, values)
        if count:
            db.execute(f"DELETE FROM spool WHERE {where}", values)
            self._grow(-count, -size)
        return count


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=1.0)
    try:
        connection.executescript(_SETTINGS)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except BaseException:
        connection.close()
        raise
    return connection


def _held(
    connection: sqlite3.Connection, where: str = "1", values: tuple[object, ...] = ()
) -> tuple[int, int]:
    query = f"SELECT count(*), coalesce(sum(length(body) + {OVERHEAD}), 0) FROM spool WHERE {where}"
    count, size = connection.execute(query, values).fetchone()
    return count, size

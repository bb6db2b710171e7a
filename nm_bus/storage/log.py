"""What was decided, slot by slot, as rows: for supernodes that were away."""

import msgspec

from nm_bus.messages import Batch, Mark
from nm_bus.storage.retention import RetainedRows
from nm_bus.storage.sqlite import SqliteFile

TABLES = """
CREATE TABLE log (
    slot INTEGER PRIMARY KEY, batch BLOB NOT NULL, revision INTEGER NOT NULL, head TEXT NOT NULL
) STRICT;
"""

PAGE_SLOTS, PAGE_BYTES = 1_000, 256 * 1024
"""How much of the log goes into one page: over 1 Mbit/s it comes before it is asked for again."""


class LogRows(RetainedRows):
    """The log in a ledger's file; the caller's transaction makes it durable."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file, "log", "batch")

    def keep(self, mark: Mark, batch: Batch) -> None:
        """A slot is decided, and that is how far the ledger is with it."""
        body = msgspec.json.encode(batch)
        row = (mark.height, body, mark.revision, mark.head)
        self._file.run("INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?)", row)
        self.size += len(body)

    def batches(self, slot: int) -> tuple[Batch, ...]:
        """What was decided from a slot on, without a gap: a page of it."""
        chosen: list[bytes] = []
        size = 0
        while len(chosen) < PAGE_SLOTS:
            found = self._file.rows("SELECT batch FROM log WHERE slot = ?", (slot + len(chosen),))
            size += len(found[0][0]) if found else 0
            if not found or (chosen and size > PAGE_BYTES):
                break
            chosen.append(found[0][0])
        return tuple(self._file.decoded(body, Batch) for body in chosen)

    def marks(self, slot: int, limit: int) -> list[Mark]:
        """How far the ledger was at each slot from this one on, as many as that."""
        query = "SELECT slot, revision, head FROM log WHERE slot >= ? ORDER BY slot LIMIT ?"
        return [Mark(*row) for row in self._file.rows(query, (slot, limit))]

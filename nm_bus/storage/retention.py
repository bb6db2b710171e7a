"""How much of a ledger's log and feed is kept, in slots, revisions, time and bytes; the rest goes.

A little goes at each event, the oldest first, so that no event takes long. The oldest row tells
whether anything may go: what an event costs does not grow with what is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nm_bus.messages import Micros
from nm_bus.storage.sqlite import SqliteFile

LOG_SLOTS, LOG_BYTES = 5_000, 256 * 1024**2
"""How much of the log is kept for supernodes that were away; who lacks more gets a snapshot. Of
more slots, as long as a snapshot of an earlier one is on its way to somebody."""

FEED_REVISIONS = 10_000
FEED_AGE: Micros = 30 * 86_400_000_000
FEED_MOST, FEED_BYTES = 100_000, 2 * 1024**3
"""Updates are kept for so many revisions, or so long where that is more; never more than these."""

MOST_AT_ONCE = 2_000
"""How many rows of a table go at an event: more than an event adds."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is asked about a row before it goes: its number, its time, and its size in bytes."""

    number: int
    time: Micros
    size: int


MayGo = Callable[[Row, int], bool]
"""Whether a row may go, if it is the oldest and the table has so many bytes."""


def old_slot(height: int, wanted: int | None) -> MayGo:
    """Which slots of the log may go when the ledger is at this height, and somebody `wanted` to go
    on after a slot."""
    upto = height - LOG_SLOTS if wanted is None else min(height - LOG_SLOTS, wanted)
    return lambda row, size: row.number <= upto or size > LOG_BYTES


def old_update(revision: int, time: Micros) -> MayGo:
    """Which updates of the feed may go when the ledger is at this revision and time."""
    most, few = revision - FEED_MOST, revision - FEED_REVISIONS

    def may_go(row: Row, size: int) -> bool:
        is_old = row.number <= few and row.time < time - FEED_AGE
        return is_old or row.number <= most or size > FEED_BYTES

    return may_go


class Shelf:
    """A table of numbered rows, of which the oldest go. `size` is how many bytes its rows have."""

    def __init__(self, file: SqliteFile, table: str, body: str, time: str = "0") -> None:
        """`number` is the column of its numbers, an integer primary key."""
        self._file, self._table = file, table
        self._row = f"rowid, {time}, length({body})"
        ((self.size,),) = file.rows(f"SELECT coalesce(sum(length({body})), 0) FROM {table}")

    def clear(self) -> None:
        """Let all go."""
        self._file.run(f"DELETE FROM {self._table}")
        self.size = 0

    def sweep(self, may_go: MayGo) -> int:
        """Let go of the oldest rows, at most `MOST_AT_ONCE`; gives the number of the last one, 0
        when none went."""
        last, size = 0, self.size
        oldest = self._oldest(1)
        if oldest and may_go(oldest[0], size):
            oldest = self._oldest(MOST_AT_ONCE)
        for row in oldest:
            if not may_go(row, size):
                break
            last, size = row.number, size - row.size
        if last:
            self._file.run(f"DELETE FROM {self._table} WHERE rowid <= ?", (last,))
            self.size = size
        return last

    def _oldest(self, count: int) -> list[Row]:
        query = f"SELECT {self._row} FROM {self._table} ORDER BY rowid LIMIT ?"
        return [Row(*row) for row in self._file.rows(query, (count,))]

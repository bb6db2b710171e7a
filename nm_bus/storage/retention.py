"""How much of a ledger's log and feed is kept, in slots, revisions, time and bytes; the rest goes.

A little goes at each event, the oldest first, so that no event takes long. The oldest row tells
whether anything may go: what an event costs does not grow with what is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nm_bus.messages import Micros
from nm_bus.storage.sqlite import SqliteFile

LOG_SLOTS, LOG_BYTES = 5_000, 256 * 1024**2
"""How much of the log is kept for supernodes that were away; who lacks more gets a snapshot. Of
more slots, as long as a snapshot of an earlier one is on its way to somebody."""

DAY: Micros = 86_400_000_000
MIB = 1024**2

MOST_AT_ONCE = 2_000
"""How many rows of a table go at an event: more than an event adds."""


@dataclass(frozen=True, slots=True)
class OldRow:
    """What is asked about a row before it goes: its number, and its size in bytes."""

    number: int
    size: int


MayGo = Callable[[OldRow, int], bool]
"""Whether a row may go, if it is the oldest and the table has so many bytes."""


def old_slot(height: int, wanted: int | None) -> MayGo:
    """Which slots of the log may go when the ledger is at this height, and somebody `wanted` to go
    on after a slot."""
    upto = height - LOG_SLOTS if wanted is None else min(height - LOG_SLOTS, wanted)
    return lambda row, size: row.number <= upto or size > LOG_BYTES


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept of the updates of a group of feeds: `least` of them, and of more what is not
    older than `age`; never more than `most` of them or more than `size` bytes."""

    least: int
    age: Micros
    most: int
    size: int

    def has_room(self, stock: "Stock") -> bool:
        """Whether an earlier page would stay: then no update of it is one too many."""
        return stock.rows < self.least and stock.size < self.size - 2 * MIB


@dataclass(frozen=True, slots=True)
class Stock:
    """What is kept of a group: how many updates, and their bytes."""

    rows: int = 0
    size: int = 0


BOUNDS = {
    "config": Bounds(10_000, 30 * DAY, 100_000, 2_048 * MIB),
    "record": Bounds(10_000, 30 * DAY, 20_000, 256 * MIB),
    "member": Bounds(10_000, 30 * DAY, 50_000, 128 * MIB),
    "lock": Bounds(2_000, DAY, 20_000, 32 * MIB),
}
"""What is full lets go of its own oldest updates, and of no others.

Of documents the last 10,000 updates stay whatever their size: a change has at most 192 KiB, with
its heads and names 10,000 of them have less than 1.9 GiB. Locks and sessions say little once they
are over: 2,000 updates are some 700 runs under a lock, 20,000 the day of one run every 13 s. The
bytes of the others suffice for 10,000 updates of 26 KiB of records, 13 KiB of members, 3 KiB of
locks and 6 KiB of what is in no row here. In all there are never more than 290,000 updates and
2.7 GiB of them."""

OTHERS = Bounds(10_000, 30 * DAY, 20_000, 64 * MIB)
"""Of each other group, of which there are five."""


def bounds_of(group: str) -> Bounds:
    """How much is kept of a group."""
    return BOUNDS.get(group, OTHERS)


@dataclass(frozen=True, slots=True)
class OldUpdate:
    """What is asked about an update before it goes."""

    revision: int
    time: Micros
    size: int


def upto(
    bounds: Bounds, stock: Stock, oldest: Sequence[OldUpdate], time: Micros
) -> list[OldUpdate]:
    """Which of the oldest updates of a group go, when the ledger is at this time."""
    rows, size, went = stock.rows, stock.size, []
    for update in oldest:
        is_old = rows > bounds.least and update.time < time - bounds.age
        if not (is_old or rows > bounds.most or size > bounds.size):
            break
        went.append(update)
        rows, size = rows - 1, size - update.size
    return went


class RetainedRows:
    """A table of numbered rows, of which the oldest go. `size` is how many bytes its rows have."""

    def __init__(self, file: SqliteFile, table: str, body: str) -> None:
        """Its numbers are its integer primary key, above -1."""
        self._file, self._table = file, table
        self._row = f"rowid, length({body})"
        ((self.size,),) = file.rows(f"SELECT coalesce(sum(length({body})), 0) FROM {table}")

    def clear(self) -> None:
        """Let all go."""
        self._file.run(f"DELETE FROM {self._table}")
        self.size = 0

    def sweep(self, may_go: MayGo) -> int:
        """Let go of the oldest rows, at most `MOST_AT_ONCE`; gives the number of the last one, 0
        when none went."""
        last, size = 0, self.size
        for row in self._oldest():
            if not may_go(row, size):
                break
            last, size = row.number, size - row.size
        if last:
            self._file.run(f"DELETE FROM {self._table} WHERE rowid <= ?", (last,))
            self.size = size
        return last

    def _oldest(self) -> Iterator[OldRow]:
        """The oldest rows, at most `MOST_AT_ONCE`, and few that are not looked at."""
        query = f"SELECT {self._row} FROM {self._table} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        after, left, some = -1, MOST_AT_ONCE, 1
        while left > 0:
            rows = self._file.rows(query, (after, min(some, left)))
            yield from (OldRow(*row) for row in rows)
            if not rows:
                return
            after, left, some = rows[-1][0], left - len(rows), 4 * some

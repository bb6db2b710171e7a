"""The updates of a ledger as rows: by revision, by feed, and by the keys that they touched.

What is kept of them is in `retention`; of the groups of feeds that are not whole any more is told
after which revision they are.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from nm_bus.core.ledger.kept import group_of
from nm_bus.core.ledger.keys import LOCKS
from nm_bus.messages import EarlierUpdate, FeedPlace, Micros, Update
from nm_bus.storage.retention import MOST_AT_ONCE, OldUpdate, Stock, bounds_of, upto
from nm_bus.storage.sqlite import SqliteFile

TABLES = f"""
CREATE TABLE feed (
    revision INTEGER PRIMARY KEY, of_group TEXT NOT NULL, feed TEXT NOT NULL,
    number INTEGER NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX places ON feed (feed, number);
CREATE INDEX groups ON feed (of_group, revision, time, size);
CREATE INDEX lasting ON feed (revision) WHERE of_group <> '{LOCKS}';
CREATE TABLE feeds (feed TEXT PRIMARY KEY, place BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE touched (
    key TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (key, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX touched_revision ON touched (revision);
"""

_WITHOUT_LOCKS = f"AND of_group <> '{LOCKS}'"
_OF_KEY = "SELECT body FROM touched JOIN feed USING (revision) WHERE key = ?"

_UNTOUCH = (
    "DELETE FROM touched WHERE (key, revision) IN (SELECT key, revision FROM touched WHERE revision"
    " IN (SELECT revision FROM feed WHERE of_group = ? AND revision <= ?) LIMIT ?)"
)

MOST_TOUCHED = 2 * MOST_AT_ONCE
"""How many keys are forgotten at once: a change may touch all members."""

FEW = 10
"""How many are looked at first: most often one goes for each that came, or none."""

SOME = 16
"""How many updates are read at once for a page of the past."""

Kept = tuple[Update, Iterable[str]]
"""An update, and the keys that it touched."""

_encode = msgspec.json.encode


class PastRows:
    """The updates in a ledger's file; the caller's transaction makes them durable."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        counted = "SELECT of_group, count(*), sum(size) FROM feed GROUP BY of_group"
        self._stocks = {group: Stock(rows, size) for group, rows, size in file.rows(counted)}
        self._grown: set[str] = set()

    # --- what comes

    def keep(self, updates: Sequence[Kept]) -> None:
        """Take the next revisions."""
        self.add(updates)
        self.keep_places(update.place for update, _ in updates)

    def keep_places(self, places: Iterable[FeedPlace]) -> None:
        """These are the last places of their feeds."""
        last = {place.feed: place for place in places}
        rows = [(feed, _encode(place)) for feed, place in last.items()]
        self._file.run_many("INSERT OR REPLACE INTO feeds VALUES (?, ?)", rows)

    def add(self, updates: Sequence[Kept]) -> None:
        """Take updates, new ones or earlier ones, that are not here yet."""
        rows = [_row(update) for update, _ in updates]
        self._file.run_many("INSERT OR IGNORE INTO feed VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        for row in rows:
            group, size = row[1], row[5]
            before = self._stocks.get(group, Stock())
            self._stocks[group] = Stock(before.rows + 1, before.size + size)
            self._grown.add(group)
        touched = [
            (key, update.revision) for update, keys in updates for key in {update.change.key, *keys}
        ]
        self._file.run_many("INSERT OR IGNORE INTO touched VALUES (?, ?)", touched)

    # --- what is read

    def feeds(self) -> list[FeedPlace]:
        """The last place of each feed, in the order of their names."""
        rows = self._file.rows("SELECT place FROM feeds ORDER BY feed")
        return [self._file.decoded(body, FeedPlace) for (body,) in rows]

    def update(self, revision: int) -> Update | None:
        """One revision, if it is here."""
        found = self._read("SELECT body FROM feed WHERE revision = ?", (revision,))
        return found[0] if found else None

    def after(self, since: int, limit: int, key: str, *, without_locks: bool) -> list[Update]:
        """The revisions after `since`, of one key or (empty) of all, oldest first."""
        start, values = _chosen(key, without_locks=without_locks)
        query = f"{start} AND revision > ? ORDER BY revision LIMIT ?"
        return self._read(query, (*values, since, limit))

    def before(self, revision: int, limit: int, key: str, *, without_locks: bool) -> list[Update]:
        """The revisions before one, of one key or (empty) of all, newest first."""
        start, values = _chosen(key, without_locks=without_locks)
        query = f"{start} AND revision < ? ORDER BY revision DESC LIMIT ?"
        return self._read(query, (*values, revision, limit))

    def of_feed(self, feed: str, since: int, limit: int) -> list[Update]:
        """The updates of one feed after its number `since`, oldest first."""
        query = "SELECT body FROM feed WHERE feed = ? AND number > ? ORDER BY number LIMIT ?"
        return self._read(query, (feed, since, limit))

    def kept_from(self, feed: str) -> int:
        """The number in one feed after which all of its updates are here; 0: the feed is whole."""
        query = "SELECT min(number) FROM feed WHERE feed = ?"
        (oldest,) = self._file.rows(query, (feed,))[0]
        if oldest is not None:
            return int(oldest) - 1
        last = self._file.rows("SELECT place FROM feeds WHERE feed = ?", (feed,))
        return self._file.decoded(last[0][0], FeedPlace).number if last else 0

    def next_of(self, feed: str, revision: int) -> Update | None:
        """The first update of one feed after a revision, of those that are here."""
        query = "SELECT body FROM feed WHERE feed = ? AND revision > ? ORDER BY number LIMIT 1"
        found = self._read(query, (feed, revision))
        return found[0] if found else None

    def first_of(self, feed: str) -> Update | None:
        """The oldest update of a feed that is here."""
        found = self.of_feed(feed, 0, 1)
        return found[0] if found else None

    def earlier(self, group: str, before: int, most_keys: int) -> Iterator[EarlierUpdate]:
        """The updates of a group before a revision, newest first, with the keys besides their own,
        no more than the first `most_keys`."""
        query = "SELECT body FROM feed WHERE of_group = ? AND revision < ?"
        while found := self._read(f"{query} ORDER BY revision DESC LIMIT {SOME}", (group, before)):
            for update in found:
                before = update.revision
                keys = self._file.rows(
                    "SELECT key FROM touched WHERE revision = ? AND key <> ? LIMIT ?",
                    (before, update.change.key, most_keys),
                )
                yield EarlierUpdate(update, tuple(key for (key,) in keys))

    def has_room(self, group: str) -> bool:
        """Whether earlier updates of a group would stay, if they came."""
        return bounds_of(group).has_room(self._stocks.get(group, Stock()))

    # --- what goes

    def clear(self) -> None:
        """Let go of all, and of what is known of the feeds."""
        for table in ("feed", "feeds", "touched"):
            self._file.run(f"DELETE FROM {table}")
        self._stocks.clear()
        self._grown.clear()

    def sweep(self, time: Micros) -> dict[str, int]:
        """Let go of the oldest updates of groups that have grown, a limited number at once; gives
        the last revision of each that is not there any more."""
        return {group: last for group in list(self._grown) if (last := self._sweep(group, time))}

    def _sweep(self, group: str, time: Micros) -> int:
        bounds, stock = bounds_of(group), self._stocks[group]
        for count in (1, FEW, MOST_AT_ONCE):
            went = upto(bounds, stock, self._oldest(group, count), time)
            if len(went) < count:
                self._grown.discard(group)
                break
        if not went:
            return 0
        last = went[-1].revision
        if self._file.run(_UNTOUCH, (group, last, MOST_TOUCHED)) == MOST_TOUCHED:
            self._grown.add(group)  # the rest goes at the next event
            return last
        self._file.run("DELETE FROM feed WHERE of_group = ? AND revision <= ?", (group, last))
        size = stock.size - sum(row.size for row in went)
        self._stocks[group] = Stock(stock.rows - len(went), size)
        return last

    def _oldest(self, group: str, count: int) -> list[OldUpdate]:
        query = "SELECT revision, time, size FROM feed WHERE of_group = ? ORDER BY revision LIMIT ?"
        return [OldUpdate(*row) for row in self._file.rows(query, (group, count))]

    def _read(self, query: str, values: tuple[Any, ...]) -> list[Update]:
        return [self._file.decoded(body, Update) for (body,) in self._file.rows(query, values)]


def _row(update: Update) -> tuple[Any, ...]:
    body, feed = _encode(update), update.place.feed
    number = update.place.number
    return (update.revision, group_of(feed), feed, number, update.time, len(body), body)


def _chosen(key: str, *, without_locks: bool) -> tuple[str, tuple[str, ...]]:
    """The beginning of a query, up to its condition, and its values."""
    if key:
        return _OF_KEY, (key,)
    return f"SELECT body FROM feed WHERE true {_WITHOUT_LOCKS if without_locks else ''}", ()

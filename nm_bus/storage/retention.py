"""How much of a ledger's log and feed is kept, in slots, revisions, time and bytes.

Here is asked which rows may go; `ledger` deletes them.
"""

from nm_bus.messages import Micros
from nm_bus.storage.sqlite import SqliteFile

LOG_SLOTS, LOG_BYTES = 5_000, 256 * 1024**2
"""How much of the log is kept for supernodes that were away; who lacks more gets a snapshot."""

FEED_REVISIONS = 10_000
FEED_AGE: Micros = 30 * 86_400_000_000
FEED_MOST, FEED_BYTES = 100_000, 2 * 1024**3
"""Updates are kept for so many revisions, or so long where that is more; never more than these."""


def last_old_slot(file: SqliteFile, height: int) -> int:
    """The last slot of the log that may go when the ledger is at this height."""
    return max(height - LOG_SLOTS, _too_large(file, "log", "slot", "batch", LOG_BYTES))


def last_old_revision(file: SqliteFile, revision: int, time: Micros) -> int:
    """The last revision of the feed that may go when the ledger is at this revision and time."""
    old = "SELECT coalesce(max(revision), 0) FROM feed WHERE time < ?"
    ((by_age,),) = file.rows(old, (time - FEED_AGE,))
    return max(
        min(revision - FEED_REVISIONS, int(by_age)),
        revision - FEED_MOST,
        _too_large(file, "feed", "revision", "body", FEED_BYTES),
    )


def _too_large(file: SqliteFile, table: str, number: str, body: str, most: int) -> int:
    """The last row that must go so that the rest is no larger than `most` bytes, or 0."""
    ((size,),) = file.rows(f"SELECT coalesce(sum(length({body})), 0) FROM {table}")
    if size <= most:
        return 0
    running = f"sum(length({body})) OVER (ORDER BY {number} DESC)"
    query = f"SELECT max(n) FROM (SELECT {number} AS n, {running} AS size FROM {table})"
    ((last,),) = file.rows(f"{query} WHERE size > ?", (most,))
    return int(last or 0)

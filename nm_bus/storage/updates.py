"""The past of a supernode's ledger in its file: the updates that are kept, as they are read."""

from typing import Any

from nm_bus.messages import FeedPlace, Update
from nm_bus.storage.sqlite import SqliteFile

_NEWEST = 2**63 - 1
"""Beyond any revision."""

_OF_KEY = "SELECT body FROM touched JOIN feed USING (revision) WHERE key = ? "


class UpdateRows:
    """Reads the tables `feed`, `feeds` and `touched`; see `nm_bus.core.ledger.feed.Feed`."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def updates(self, since: int, limit: int, key: str = "") -> list[Update]:
        """The revisions after `since`, of one key or of all, oldest first."""
        if not key:
            query = "SELECT body FROM feed WHERE revision > ? ORDER BY revision LIMIT ?"
            return self._updates(query, (since, limit))
        query = _OF_KEY + "AND revision > ? ORDER BY revision LIMIT ?"
        return self._updates(query, (key, since, limit))

    def feed_updates(self, feed: str, since: int, limit: int) -> list[Update]:
        """The updates of one feed after its number `since`, oldest first."""
        query = "SELECT body FROM feed WHERE feed = ? AND number > ? ORDER BY number LIMIT ?"
        return self._updates(query, (feed, since, limit))

    def feed_kept_from(self, feed: str) -> int:
        """The number in one feed after which all of its updates are there."""
        query = "SELECT min(number) FROM feed WHERE feed = ?"
        (oldest,) = self._file.rows(query, (feed,))[0]
        if oldest is not None:
            return int(oldest) - 1
        last = self._file.rows("SELECT place FROM feeds WHERE feed = ?", (feed,))
        return self._file.decoded(last[0][0], FeedPlace).number if last else 0

    def feed_after(self, feed: str, revision: int) -> Update | None:
        """The first update of one feed after a revision, of those that are kept."""
        query = "SELECT min(number) FROM feed WHERE feed = ? AND revision > ?"
        (number,) = self._file.rows(query, (feed, revision))[0]
        return None if number is None else self.feed_updates(feed, int(number) - 1, 1)[0]

    def history(self, key: str, before: int, limit: int) -> list[Update]:
        """The revisions before `before` (0: all), of one key or (empty) of all, newest first."""
        before = before or _NEWEST
        if not key:
            query = "SELECT body FROM feed WHERE revision < ? ORDER BY revision DESC LIMIT ?"
            return self._updates(query, (before, limit))
        query = _OF_KEY + "AND revision < ? ORDER BY revision DESC LIMIT ?"
        return self._updates(query, (key, before, limit))

    def _updates(self, query: str, values: tuple[Any, ...]) -> list[Update]:
        return [self._file.decoded(body, Update) for (body,) in self._file.rows(query, values)]

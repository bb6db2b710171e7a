"""The updates that a supernode keeps, in memory: for tests of whoever reads the past."""

from dataclasses import dataclass, field

from nm_bus.messages import Update


@dataclass(slots=True)
class KeptUpdates:
    """See `nm_bus.core.ledger.feed.Feed`. Move `feed_from` to forget what was before it."""

    feed_from: int = 0
    kept: list[Update] = field(default_factory=list)
    """All that there ever was, in order."""

    def updates(self, since: int, limit: int, key: str = "") -> list[Update]:
        """The revisions after one, oldest first."""
        return [each for each in self._of(key) if each.revision > since][:limit]

    def history(self, key: str, before: int, limit: int) -> list[Update]:
        """The revisions before one, newest first."""
        found = [each for each in self._of(key) if not before or each.revision < before]
        return found[::-1][:limit]

    def feed_updates(self, feed: str, since: int, limit: int) -> list[Update]:
        """The updates of one feed after its number, oldest first."""
        found = [each for each in self._of("") if each.place.feed == feed]
        return [each for each in found if each.place.number > since][:limit]

    def feed_kept_from(self, feed: str) -> int:
        """The number in one feed after which all of its updates are there."""
        gone = (u for u in self.kept if u.revision <= self.feed_from and u.place.feed == feed)
        return max((update.place.number for update in gone), default=0)

    def feed_after(self, feed: str, revision: int) -> Update | None:
        """The first update of one feed after a revision, of those that are kept."""
        found = (u for u in self._of("") if u.place.feed == feed and u.revision > revision)
        return next(found, None)

    def _of(self, key: str) -> list[Update]:
        since = self.feed_from
        return [u for u in self.kept if u.revision > since and key in ("", u.change.key)]

"""The updates that a supernode keeps, in memory: for tests of whoever reads the past."""

from dataclasses import dataclass, field

from nm_bus.core.ledger.keys import LOCKS
from nm_bus.messages import NodeId, Update


@dataclass(slots=True)
class KeptUpdates:
    """See `nm_bus.core.ledger.feed.Feed`. Move `feed_from` to forget what was before it; `kept_by`
    has it then."""

    feed_from: int = 0
    kept_by: tuple[NodeId, ...] = ()
    kept: list[Update] = field(default_factory=list)
    """All that there ever was, in order."""

    def kept_of(self, key: str, *, without_locks: bool = False) -> tuple[int, tuple[NodeId, ...]]:
        """The revision after which all are there, and who has more."""
        return self.feed_from, self.kept_by if self.feed_from else ()

    def updates(
        self, since: int, limit: int, key: str = "", *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions after one, oldest first."""
        found = self._of(key, without_locks=without_locks)
        return [each for each in found if each.revision > since][:limit]

    def history(
        self, key: str, before: int, limit: int, *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions before one, newest first."""
        found = self._of(key, without_locks=without_locks)
        return [each for each in found if not before or each.revision < before][::-1][:limit]

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

    def _of(self, key: str, *, without_locks: bool = False) -> list[Update]:
        found = [one for one in self.kept if one.revision > self.feed_from]
        if without_locks:
            found = [one for one in found if one.place.feed != LOCKS]
        return [one for one in found if key in ("", one.change.key)]

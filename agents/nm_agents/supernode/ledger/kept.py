"""The updates that a supernode's ledger keeps, as whoever reads or follows it sees them."""

from nm_agents.supernode.ledger.earlier import EarlierUpdates
from nm_bus.messages import NodeId, Update
from nm_bus.storage.ledger import SqliteLedger
from nm_bus.transport.base import Transport


class KeptPast:
    """A `Feed` over a ledger's file: what a ledger at work inherits."""

    __slots__ = ()

    store: SqliteLedger
    transport: Transport
    earlier: EarlierUpdates

    @property
    def feed_from(self) -> int:
        """The revision after which all updates are there; who has less needs a snapshot."""
        return self.store.position.feed_from

    def kept_of(self, key: str, *, without_locks: bool = False) -> tuple[int, tuple[NodeId, ...]]:
        """The revision after which all updates of a key (empty: of all) are there, and who has
        more of them."""
        now = self.transport.now()
        return self.earlier.kept_of(key, now, without_locks=without_locks)

    def updates(
        self, since: int, limit: int, key: str = "", *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions after `since`, of one key or of all, oldest first."""
        return self.store.updates(since, limit, key, without_locks=without_locks)

    def history(
        self, key: str, before: int, limit: int, *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions before one (0: from the newest on), newest first."""
        return self.store.history(key, before, limit, without_locks=without_locks)

    def feed_updates(self, feed: str, since: int, limit: int) -> list[Update]:
        """The updates of one feed after its number `since`, oldest first."""
        return self.store.past.of_feed(feed, since, limit)

    def feed_kept_from(self, feed: str) -> int:
        """The number in one feed after which all of its updates are there."""
        return self.store.past.kept_from(feed)

    def feed_after(self, feed: str, revision: int) -> Update | None:
        """The first update of one feed after a revision, of those that are kept."""
        return self.store.past.next_of(feed, revision)

    @property
    def published(self) -> int:
        """Up to which revision the feed was published, as it is on disk."""
        return self.store.published

    def keep_published(self, revision: int) -> None:
        """The feed was published up to this revision."""
        self.store.keep_published(revision)

"""What a supernode that is behind is sent: a page of the log, or the state when that is gone."""

from collections.abc import Callable
from dataclasses import dataclass, field

from nm_agents.supernode.ledger.post import Post
from nm_agents.supernode.ledger.snapshots import Cutting, Whole
from nm_bus.messages import Log, NodeId, Seconds
from nm_bus.storage.ledger import SqliteLedger


@dataclass(slots=True)
class Supplies:
    """One supernode's supplies for the others. Who wants more asks again."""

    store: SqliteLedger
    post: Post
    _cutting: Cutting = field(default_factory=Cutting)

    def send(self, node: NodeId, slot: int, whole: Callable[[], Whole], now: Seconds) -> None:
        """Send what was decided from a slot on, as far as a page goes; or all pages of `whole`,
        which is as of the last slot that is on disk."""
        height, batches = self.store.position.height, self.store.batches(slot)
        if batches:
            self.post.tell(node, Log(slot, batches, height))
        elif batches is None and self._cutting.is_due(node, now):
            if not self._cutting.is_fresh(now):
                self._cutting.cut(height, whole(), now)
            for page in self._cutting.pages(height):
                self.post.tell(node, page)

    def forget_old(self, now: Seconds) -> None:
        """Let go of what nobody may ask for any more."""
        self._cutting.forget_old(now)

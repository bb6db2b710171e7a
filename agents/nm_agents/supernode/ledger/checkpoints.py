"""Whether two supernodes have the same ledger: they compare the head at each hundredth revision."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nm_bus.core.ledger.applying import Applied
from nm_bus.messages import NodeId
from nm_bus.storage.ledger import SqliteLedger

EVERY = 100
"""Each of these revisions is compared."""

MOST_FORKS = 100
"""One is an alarm; more than these say nothing more."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Two heads for one revision: one of the two supernodes has not the others' ledger."""

    node: NodeId
    peer: NodeId
    revision: int
    head: str
    other: str


@dataclass(slots=True)
class Checkpoints:
    """The last revision to compare, 0 for the beginning, and the forks that were found."""

    store: SqliteLedger
    revision: int = 0
    head: str = ""
    forks: dict[tuple[NodeId, int], Fork] = field(default_factory=dict)

    def load(self) -> None:
        """Take up the last one that the file has."""
        last = self.store.position.revision // EVERY * EVERY
        self.revision, self.head = last, self._head(last)

    def applied(self, applied: Iterable[Applied]) -> None:
        """Go on to the last one that was passed."""
        for each in applied:
            if each.update is not None and each.update.revision % EVERY == 0:
                self.revision, self.head = each.update.revision, each.update.head

    def compare(self, peer: NodeId, revision: int, head: str) -> None:
        """Hold a peer's against what is known here, which may be nothing."""
        own = self._head(revision)
        if own and head and own != head and len(self.forks) < MOST_FORKS:
            fork = Fork(self.store.identity.node, peer, revision, own, head)
            self.forks[peer, revision] = fork

    def _head(self, revision: int) -> str:
        if revision == 0:
            return self.store.identity.file
        update = self.store.update(revision)
        return update.head if update is not None else ""

"""Whether two supernodes have the same ledger: they compare the head at each hundredth revision."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nm_bus.core.ledger.applying import Applied
from nm_bus.identity.signing import head_text
from nm_bus.messages import Beat, Echo, Mark, NodeId, VoterId
from nm_bus.storage.ledger import SqliteLedger

Witness = Callable[[bytes], tuple[str, str]]
"""Signs a text: which certificate's key did (its sha256), and the signature in base64."""

EVERY = 100
"""Each of these revisions is compared."""

MOST_FORKS = 100
"""One is an alarm; more than these say nothing more."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Two heads for one revision: one of the two supernodes has not the others' ledger."""

    node: NodeId
    peer: NodeId
    incarnation: str
    """The peer's; it has this history for as long as it is the same."""
    revision: int
    head: str
    other: str
    signer: str = ""
    signature: str = ""
    """The peer's own signature of its head: it cannot say later that it had another one."""


@dataclass(slots=True)
class Checkpoints:
    """The last revision to compare, 0 for the beginning, and the forks that were found."""

    store: SqliteLedger
    witness: Witness = lambda _text: ("", "")
    revision: int = 0
    head: str = ""
    signer: str = ""
    signature: str = ""
    forks: dict[tuple[NodeId, int], Fork] = field(default_factory=dict)

    def load(self) -> None:
        """Take up the last one that the file has."""
        last = self.store.position.revision // EVERY * EVERY
        self._reached(last, self._head(last))

    def applied(self, applied: Iterable[Applied]) -> None:
        """Go on to the last one that was passed."""
        for each in applied:
            if each.update is not None and each.update.revision % EVERY == 0:
                self._reached(each.update.revision, each.update.head)

    def beat(
        self,
        height: int,
        echoes: dict[VoterId, Echo],
        rules: int,
        kept_from: dict[str, int] | None,
    ) -> Beat:
        """What the others are to compare with theirs."""
        last = (self.revision, self.head, self.signer, self.signature)
        return Beat(height, echoes, *last, rules, kept_from)

    def compare(self, peer: NodeId, incarnation: str, beat: Beat) -> None:
        """Hold a peer's against what is known here, which may be nothing. A fork is over when the
        peer has begun again."""
        for key, fork in list(self.forks.items()):
            if fork.peer == peer and fork.incarnation != incarnation:
                del self.forks[key]
        own, revision, head = self._head(beat.revision), beat.revision, beat.head
        if own and head and own != head:
            signed = beat.signer, beat.signature
            self._add(Fork(self._node, peer, incarnation, revision, own, head, *signed))

    def differs(self, peer: NodeId, incarnation: str, ours: Mark, theirs: Mark) -> None:
        """A peer's head differs at a height, where nobody signed: it is a fork as well."""
        if (peer, ours.revision) not in self.forks:
            heads = ours.head, theirs.head
            self._add(Fork(self._node, peer, incarnation, ours.revision, *heads))

    def _add(self, fork: Fork) -> None:
        if len(self.forks) < MOST_FORKS:
            self.forks[fork.peer, fork.revision] = fork

    @property
    def _node(self) -> NodeId:
        return self.store.identity.node

    def _reached(self, revision: int, head: str) -> None:
        """This one is told from now on; each is signed once."""
        self.revision, self.head = revision, head
        one = self.store.identity
        text = head_text(one.project, one.epoch, revision, head)
        self.signer, self.signature = self.witness(text) if head else ("", "")

    def _head(self, revision: int) -> str:
        if revision == 0:
            return self.store.identity.file
        update = self.store.update(revision)
        return update.head if update is not None else ""

"""What is known of the other supernodes' ledgers, and whether their word counts.

Of each peer: which of its lives speaks, how far it is, whether it has this history. What follows is
given back as a reason to stop; stopping and speaking belong to the driver.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nm_agents.supernode.ledger.checkpoints import Checkpoints
from nm_agents.supernode.ledger.ignored import Ignored
from nm_bus.core.ledger.boots import JOIN_AGAIN, MOST_KNOWN
from nm_bus.core.ledger.guard import Guard, PeerWord, Spoken
from nm_bus.core.ledger.state import State
from nm_bus.messages import (
    Beat,
    Echo,
    Ledger,
    Mark,
    Micros,
    VoterId,
)
from nm_bus.storage.ledger import NEWCOMER, LedgerIdentity


@dataclass(slots=True)
class LedgerPeers:
    """The peers of one supernode's ledger in one life of it."""

    guard: Guard[Ledger]
    checkpoints: Checkpoints
    ignored: Ignored = field(default_factory=Ignored)
    heights: dict[VoterId, int] = field(default_factory=dict)
    """How far each is, by its last beat."""
    rules: dict[VoterId, int] = field(default_factory=dict)
    """The latest version of the rules that each knows."""
    _changed: dict[VoterId, Echo] = field(default_factory=dict)

    def hear(
        self, sender: VoterId, message: Ledger, identity: LedgerIdentity, state: State, now: Micros
    ) -> PeerWord:
        """Take what a message says of its sender: its beginning, epoch, life and head."""
        if not self.ignored.counts(
            message, beginning=identity.beginning, epoch=state.epoch, now=now
        ):
            return PeerWord()
        epochs = {message.epoch, state.epoch}
        if len(epochs) > 1 and NEWCOMER not in epochs:
            is_over = message.epoch > state.epoch
            over = f"epoch {state.epoch} is over: {sender} is in {message.epoch}; {JOIN_AGAIN}"
            return PeerWord(stop=over if is_over else "")
        spoken = Spoken(message.boot, message.nonce, message.mark, message.step)
        word = self.guard.hear(sender, spoken, state.voters)
        if word.is_heard:
            self._changed[sender] = self.guard.boots.known[sender]
            self.note_forks()
        return word

    def compare(self, sender: VoterId, message: Ledger, beat: Beat) -> str:
        """Take what a beat says; gives why the ledger must stop, or nothing."""
        self.heights.pop(sender, None)
        self.heights[sender] = max(beat.height, 0)
        if len(self.heights) > MOST_KNOWN:
            del self.rules[next(iter(self.heights))]
            del self.heights[next(iter(self.heights))]
        self.rules[sender] = beat.rules
        self.checkpoints.compare(message.origin, message.incarnation, beat)
        return self.guard.doubt(sender, beat)

    def reached(self, marks: Iterable[Mark], voters: frozenset[VoterId]) -> str:
        """The own ledger is as far as that; gives why it must stop, or nothing."""
        stop = self.guard.reached(marks, voters)
        self.note_forks()
        return stop

    def note_forks(self) -> None:
        """Whoever was found to have another history is told of as a fork."""
        for peer, two in self.guard.heads.found():
            node, _, incarnation = peer.partition("#")
            self.checkpoints.differs(node, incarnation, two.ours, two.theirs)

    def known_rules(
        self, voters: frozenset[VoterId], standbys: frozenset[VoterId], own: int
    ) -> int:
        """The latest version of the rules that every voter knows, and every standby that was heard
        in this life; `own` is this program's."""
        standby = [self.rules[one] for one in standbys if one in self.rules]
        others = voters - {self.guard.boots.me}
        return min([own, *standby, *(self.rules.get(one, 1) for one in others)])

    def changed(self) -> dict[VoterId, Echo]:
        """What is known of the peers that were heard since this was asked last, to be kept."""
        changed, self._changed = self._changed, {}
        return changed

    def echoes(self) -> dict[VoterId, Echo]:
        """What is known of each."""
        return dict(list(self.guard.boots.known.items())[-MOST_KNOWN:])

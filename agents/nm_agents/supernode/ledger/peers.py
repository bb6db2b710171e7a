"""What is known of the other supernodes' ledgers, and whether their word counts.

Of each peer: which of its lives speaks, how far it is, whether it has this history. What follows is
given back as a reason to stop; stopping and speaking belong to the driver.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nm_agents.supernode.ledger.checkpoints import Checkpoints
from nm_agents.supernode.ledger.ignored import Ignored
from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.boots import JOIN_AGAIN, MOST_KNOWN, Boots
from nm_bus.core.ledger.effects import casts
from nm_bus.core.ledger.heads import Heads, why_outvoted
from nm_bus.core.ledger.state import State
from nm_bus.messages import (
    Accept,
    Beat,
    Echo,
    Fetch,
    Ledger,
    Log,
    Mark,
    Micros,
    Prepare,
    Recalled,
    Step,
    VoterId,
)
from nm_bus.storage.ledger import NEWCOMER, LedgerIdentity


@dataclass(frozen=True, slots=True)
class PeerWord:
    """Whether a message counts, whether its sender lives anew, why the ledger must stop, and what
    to answer at once."""

    counts: bool = False
    is_new_life: bool = False
    stop: str = ""
    answer: Step | None = None


@dataclass(slots=True)
class LedgerPeers:
    """The peers of one supernode's ledger in one life of it."""

    agreement: Agreement
    boots: Boots
    heads: Heads
    checkpoints: Checkpoints
    ignored: Ignored = field(default_factory=Ignored)
    heights: dict[VoterId, int] = field(default_factory=dict)
    """How far each is, by its last beat."""
    rules: dict[VoterId, int] = field(default_factory=dict)
    """The latest version of the rules that each knows."""
    _early: dict[VoterId, Ledger] = field(default_factory=dict)
    """The last question of each that is about a slot beyond the next one."""
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
        before = self.boots.known.get(sender)
        if not self.boots.heard(sender, message.boot, message.nonce, message.step):
            return PeerWord()
        self._changed[sender] = self.boots.known[sender]
        is_new = before is None or before.boot != message.boot
        if is_new:
            self.heads.forget_claim(sender)
        if self._has_our_history(sender, message):
            return PeerWord(True, is_new)
        step = message.step
        asks = isinstance(step, Beat | Fetch)
        proof = self.heads.proof(sender, self.agreement.height) if asks else None
        # what it has seen of this file counts all the same: this may be the copy
        echo = step.echoes.get(self.boots.me) if isinstance(step, Beat) else None
        stop = self.outvoted(state.voters) or self.doubt(sender, echo)
        return PeerWord(False, is_new, stop, proof)

    def is_early(self, sender: VoterId, message: Ledger) -> bool:
        """Whether a question is about a slot beyond the next one: then it is kept until that is the
        next one, since its sender's head cannot be compared before."""
        step = message.step
        if not isinstance(step, Prepare | Accept) or step.slot <= self.agreement.height + 1:
            return False
        self._early.pop(sender, None)
        self._early[sender] = message
        if len(self._early) > MOST_KNOWN:
            del self._early[next(iter(self._early))]
        return True

    def due(self) -> list[Ledger]:
        """The questions that were early, and may not be any more."""
        early, self._early = self._early, {}
        return list(early.values())

    def compare(self, sender: VoterId, message: Ledger, beat: Beat) -> str:
        """Take what a beat says; gives why the ledger must stop, or nothing."""
        self.heights.pop(sender, None)
        self.heights[sender] = max(beat.height, 0)
        if len(self.heights) > MOST_KNOWN:
            del self.rules[next(iter(self.heights))]
            del self.heights[next(iter(self.heights))]
        self.rules[sender] = beat.rules
        self.checkpoints.compare(message.origin, message.incarnation, beat)
        return self.doubt(sender, beat.echoes.get(self.boots.me))

    def doubt(self, sender: VoterId, echo: Echo | None) -> str:
        """Why this file is not the one that a peer knows, by what the peer saw of it."""
        agreement = self.agreement
        why = self.boots.echoed(sender, echo, agreement.height, agreement.votes)
        return f"{why}; {JOIN_AGAIN}" if why else ""

    def reached(self, marks: Sequence[Mark], voters: frozenset[VoterId]) -> str:
        """The own ledger is as far as that; gives why it must stop, or nothing."""
        self.heads.reached(marks)
        return self.outvoted(voters)

    def outvoted(self, voters: frozenset[VoterId]) -> str:
        """Tell of the peers that have another history; why to stop, where they are too many."""
        for peer, two in self.heads.found():
            node, _, incarnation = peer.partition("#")
            self.checkpoints.differs(node, incarnation, two.ours, two.theirs)
        if not self.heads.is_outvoted(voters):
            return ""
        return why_outvoted(self.heads.differing, is_tied=self.heads.is_tied(voters))

    def memory_of(self, sender: VoterId) -> Recalled | None:
        """What is known of a peer in its new life, and what was accepted here; None while this
        supernode knows nothing itself."""
        if self.agreement.height < 0:
            return None
        votes = casts(self.agreement.votes)
        return Recalled(self.agreement.height, self.boots.known[sender], votes)

    def known_rules(
        self, voters: frozenset[VoterId], standbys: frozenset[VoterId], own: int
    ) -> int:
        """The latest version of the rules that every voter knows, and every standby that was heard
        in this life; `own` is this program's."""
        standby = [self.rules[one] for one in standbys if one in self.rules]
        return min([own, *standby, *(self.rules.get(one, 1) for one in voters - {self.boots.me})])

    def changed(self) -> dict[VoterId, Echo]:
        """What is known of the peers that were heard since this was asked last, to be kept."""
        changed, self._changed = self._changed, {}
        return changed

    def echoes(self) -> dict[VoterId, Echo]:
        """What is known of each."""
        return dict(list(self.boots.known.items())[-MOST_KNOWN:])

    def _has_our_history(self, sender: VoterId, message: Ledger) -> bool:
        """Whether a peer's head is ours where both are, and its log goes on from where we are."""
        claims: Iterable[Mark | None] = (message.mark,)
        if isinstance(message.step, Log):
            claims = (message.mark, message.step.before)
        for claim in claims:
            self.heads.counts(sender, claim)
        return self.heads.counts(sender, None)

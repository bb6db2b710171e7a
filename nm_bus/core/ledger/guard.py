"""Whose word counts in a ledger, and when it must stop: by its peers' lives, and by their heads.

What a message says of its sender is taken here, before what it says. Who speaks from a life that
has ended is not heard, and who has another history is not counted. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.boots import JOIN_AGAIN, MOST_KNOWN, Boots
from nm_bus.core.ledger.effects import casts
from nm_bus.core.ledger.heads import Heads, why_outvoted
from nm_bus.messages import (
    Accept,
    Beat,
    Echo,
    Fetch,
    Log,
    Mark,
    Prepare,
    Recalled,
    Step,
    VoterId,
)

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A step, and what its message says of its sender: which life it is, and how far."""

    boot: int
    nonce: str
    mark: Mark
    step: Step


@dataclass(frozen=True, slots=True)
class PeerWord:
    """Whether a message comes from a living process and whether it counts, whether its sender lives
    anew, why the ledger must stop, and what to answer at once."""

    is_heard: bool = False
    counts: bool = False
    is_new_life: bool = False
    stop: str = ""
    answer: Step | None = None


@dataclass(slots=True)
class Guard(Generic[W]):
    """What keeps one life of a ledger from voting with others than its own. `W` is a message as
    whoever uses it has it."""

    agreement: Agreement
    boots: Boots
    heads: Heads
    _early: dict[VoterId, tuple[int, W]] = field(default_factory=dict)
    """The last question of each that is about a slot beyond the next one."""

    def hear(self, sender: VoterId, spoken: Spoken, voters: frozenset[VoterId]) -> PeerWord:
        """Take what a message says of its sender."""
        before, step = self.boots.known.get(sender), spoken.step
        if not self.boots.heard(sender, spoken.boot, spoken.nonce, step):
            return PeerWord()
        is_new = before is None or before.boot != spoken.boot
        if is_new:
            self.heads.forget_claim(sender)
        goes_on_from = step.before if isinstance(step, Log) else None
        if self.heads.counts(sender, spoken.mark, goes_on_from):
            return PeerWord(True, True, is_new)
        asks = isinstance(step, Beat | Fetch)
        proof = self.heads.proof(sender, self.agreement.height) if asks else None
        # what it has seen of this file counts all the same: this may be the copy
        stop = self.outvoted(voters) or (self.doubt(sender, step) if isinstance(step, Beat) else "")
        return PeerWord(True, False, is_new, stop, proof)

    def doubt(self, sender: VoterId, said: Beat | Recalled) -> str:
        """Why this file is not the one that a peer knows, by what the peer has seen of it."""
        echo: Echo | None
        echo = said.echoes.get(self.boots.me) if isinstance(said, Beat) else said.echo
        agreement = self.agreement
        why = self.boots.echoed(sender, echo, agreement.height, agreement.votes)
        return f"{why}; {JOIN_AGAIN}" if why else ""

    def outvoted(self, voters: frozenset[VoterId]) -> str:
        """Why to stop, where too many have another history."""
        if not self.heads.is_outvoted(voters):
            return ""
        return why_outvoted(self.heads.differing, is_tied=self.heads.is_tied(voters))

    def reached(self, marks: Iterable[Mark], voters: frozenset[VoterId]) -> str:
        """The own ledger is as far as that; gives why it must stop, or nothing."""
        self.heads.reached(marks)
        return self.outvoted(voters)

    def is_early(self, sender: VoterId, step: Step, message: W) -> bool:
        """Whether a question is about a slot beyond the next one: then it is kept until that is the
        next one, since its sender's head cannot be compared before."""
        if not isinstance(step, Prepare | Accept) or step.slot <= self.agreement.height + 1:
            return False
        self._early.pop(sender, None)
        self._early[sender] = step.slot, message
        if len(self._early) > MOST_KNOWN:
            del self._early[next(iter(self._early))]
        return True

    def due(self) -> list[tuple[VoterId, W]]:
        """The questions that were early and are not any more, each with who asked."""
        following = self.agreement.height + 1
        due = [(one, kept[1]) for one, kept in self._early.items() if kept[0] <= following]
        for one, _ in due:
            del self._early[one]
        return due

    def memory_of(self, sender: VoterId) -> Recalled | None:
        """What is known of a peer in its new life, and what was accepted here; None while this
        ledger knows nothing itself."""
        if self.agreement.height < 0:
            return None
        votes = casts(self.agreement.votes)
        return Recalled(self.agreement.height, self.boots.known[sender], votes)

"""What the agreement decides for: the state of the ledger, and what was applied to it just now."""

from dataclasses import dataclass, field

from nm_bus.core.ledger.applying import Applied, apply_batch
from nm_bus.core.ledger.kinds import RULEBOOK, Rulebook
from nm_bus.core.ledger.rules.version import in_force
from nm_bus.core.ledger.state import State
from nm_bus.messages import Batch, ChangeId, Mark, Proposed, VoterId


@dataclass(slots=True)
class LedgerMachine:
    """A `Machine` over a state. While it `listens`, its own supernode counts as no voter."""

    me: VoterId
    state: State
    listens: bool = True
    book: Rulebook = field(default_factory=lambda: RULEBOOK)
    """The versions of the rules that this program knows."""
    applied: list[Applied] = field(default_factory=list)
    """What was applied in this event."""
    answers: list[Proposed] = field(default_factory=list)
    """The answers that were stored in this event, in their order."""
    marks: list[Mark] = field(default_factory=list)
    """How far it was with each slot of this event."""

    @property
    def voters(self) -> frozenset[VoterId]:
        """See Machine. Without a vote of its own, a supernode proposes nothing."""
        voters = self.state.voters
        return voters if self.knows_rules and not self.listens else voters - {self.me}

    @property
    def knows_rules(self) -> bool:
        """See Machine."""
        return in_force(self.state) in self.book

    @property
    def standbys(self) -> frozenset[VoterId]:
        """See Machine."""
        return self.state.standbys

    def apply(self, slot: int, batch: Batch) -> None:
        """See Machine."""
        applied = apply_batch(self.state, batch, self.book)
        self.applied += applied
        self.marks.append(Mark(slot, self.state.revision, self.state.head))
        self.answers += [each.answer for each in applied if each.is_stored]

    def is_answered(self, change: ChangeId) -> bool:
        """See Machine."""
        return self.state.answer(change) is not None

    def begin(self) -> None:
        """Another event begins."""
        self.applied, self.answers, self.marks = [], [], []

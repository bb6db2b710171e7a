"""What is agreed for in simulations, and the smallest machine that is worth it: it counts changes.

Kinds of changes: `count` any key; `vote` makes the key a voter, `follow` a standby.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, Self
from zlib import crc32

from nm_bus.core.ledger.effects import Machine
from nm_bus.messages import Batch, Change, ChangeId, VoterId


class Replica(Machine, Protocol):
    """A machine that can be looked into. `told` is what it answered since somebody looked."""

    @property
    def told(self) -> list[tuple[ChangeId, object]]:
        """Changes and their answers."""

    def copy(self) -> "Replica":
        """The same state, which goes on by itself."""

    def parts(self) -> tuple[object, ...]:
        """All that must be the same at everyone."""


@dataclass(slots=True)
class TallyMachine:
    """`head` is a checksum of all that counted; `answers` has the revision of each change."""

    voters: frozenset[VoterId]
    standbys: frozenset[VoterId] = frozenset()
    revision: int = 0
    head: int = 0
    answers: dict[ChangeId, int] = field(default_factory=dict)
    told: list[tuple[ChangeId, object]] = field(default_factory=list)
    """What was answered since somebody looked."""

    @property
    def knows_rules(self) -> bool:
        """Always."""
        return True

    def apply(self, slot: int, batch: Batch) -> None:
        """Take the decision of the next slot."""
        for change in batch.changes:
            if not self.is_answered(change.id):
                self._count(change)
            self.told.append((change.id, self.answers[change.id]))

    def is_answered(self, change: ChangeId) -> bool:
        """Whether it was counted."""
        return change in self.answers

    def copy(self) -> Self:
        """The same state, for a snapshot."""
        return type(self)(self.voters, self.standbys, self.revision, self.head, dict(self.answers))

    def parts(self) -> tuple[object, ...]:
        """All but what was told."""
        return self.voters, self.standbys, self.revision, self.head, self.answers

    def _count(self, change: Change) -> None:
        self.revision += 1
        self.head = crc32(f"{self.revision} {change.id}".encode(), self.head)
        self.answers[change.id] = self.revision
        if change.kind == "vote":
            self._seat(voters=self.voters | {change.key})
        elif change.kind == "follow":
            self._seat(voters=self.voters - {change.key})

    def _seat(self, voters: Iterable[VoterId]) -> None:
        """Change the voters; the last one stays."""
        everyone, seated = self.voters | self.standbys, frozenset(voters)
        if seated:
            self.voters, self.standbys = seated, everyone - seated

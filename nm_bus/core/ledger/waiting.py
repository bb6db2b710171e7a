"""The changes that wait to be decided: the own ones, and those that others handed over.

Here is what a proposer puts in its batch and what it hands to another one; not whose turn it is.
"""

from dataclasses import dataclass, field
from itertools import chain

from nm_bus.core.ledger.batches import fill, is_far_ahead
from nm_bus.messages import Batch, Change, ChangeId, Micros, Seconds, VoterId

MOST_HANDED = 256 * 1024
"""How many bytes of changes travel with one answer."""

MOST_FOREIGN = 10_000
"""How many changes of others are remembered; their own supernodes keep them for sure."""


@dataclass(slots=True)
class Waiting:
    """`own` are those of the outbox, which is on disk; `left_out` those whose clock is wild."""

    own: dict[ChangeId, Change]
    foreign: dict[ChangeId, Change] = field(default_factory=dict)
    left_out: dict[ChangeId, Change] = field(default_factory=dict)
    _since: dict[ChangeId, Seconds] = field(default_factory=dict)
    _handed: dict[ChangeId, VoterId] = field(default_factory=dict)

    def add_own(self, change: Change, now: Seconds) -> None:
        """Take an own change."""
        self.own[change.id] = change
        self._since.setdefault(change.id, now)

    def add_foreign(self, change: Change, now: Seconds) -> None:
        """Take a change of another supernode, unless there are too many of them."""
        if change.id not in self.own and len(self.foreign) < MOST_FOREIGN:
            self.foreign[change.id] = change
            self._since.setdefault(change.id, now)

    def forget(self, change: ChangeId) -> None:
        """It is decided."""
        for known in (self.own, self.foreign, self.left_out, self._since, self._handed):
            known.pop(change, None)

    def batch(self, author: VoterId, moment: Micros) -> Batch:
        """What `author` proposes, whose clock shows `moment`: the first ones in order."""
        known = {**self.foreign, **self.own}
        self.left_out = {i: c for i, c in known.items() if is_far_ahead(c, moment)}
        return Batch(author, moment, fill(c for i, c in known.items() if i not in self.left_out))

    def has_some(self, moment: Micros) -> bool:
        """Whether there is anything to propose."""
        self.left_out = {i: c for i, c in self.left_out.items() if is_far_ahead(c, moment)}
        return any(change not in self.left_out for change in chain(self.own, self.foreign))

    def longest(self, now: Seconds) -> Seconds:
        """How long the oldest one has waited; for those from before a restart, since it."""
        if not self._since:
            self._since = dict.fromkeys(self.own, now)
        return now - next(iter(self._since.values()), now)

    def hand_to(self, voter: VoterId) -> tuple[Change, ...]:
        """The own changes that this supernode was not the last one to be handed, as many as fit."""
        new = [c for i, c in self.own.items() if self._handed.get(i) != voter]
        changes = fill(new, size=MOST_HANDED)
        self._handed.update((change.id, voter) for change in changes)
        return changes

    def hand_again(self) -> None:
        """What was handed over may be lost: all of it is new to everyone."""
        self._handed.clear()

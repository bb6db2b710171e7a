"""What an agreement works with: pace, votes, proposals, the machine it serves, and effects.

Effects say what is to be made durable and what is to be sent, in this order and in one
transaction. Nothing here decides anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nm_bus.messages import (
    Ballot,
    Batch,
    Cast,
    Change,
    ChangeId,
    Promise,
    Seconds,
    Step,
    VoterId,
)


@dataclass(frozen=True, slots=True)
class Pace:
    """What waits for what, in seconds.

    `delay` is about 1.5 round trips to a majority, `resend` above two round trips; an author is
    suspected after `suspect` of silence.
    """

    delay: Seconds = 1.5
    resend: Seconds = 4.0
    suspect: Seconds = 3.0


@dataclass(frozen=True, slots=True)
class Vote:
    """What an acceptor has on disk for a slot: its promise, and what it accepted, at a ballot."""

    promised: Ballot
    accepted: Ballot | None = None
    batch: Batch | None = None


NO_VOTE = Vote(Ballot(-1, ""))
"""What stands for a slot without a vote."""


def casts(votes: Mapping[int, Vote]) -> tuple[Cast, ...]:
    """What was accepted, in the order of slots."""
    return tuple(
        Cast(slot, vote.accepted, vote.batch)
        for slot, vote in sorted(votes.items())
        if vote.accepted is not None and vote.batch is not None
    )


@dataclass(slots=True)
class Proposal:
    """An attempt to decide a slot, last asked for `since`. No `batch`: it is in its first phase."""

    slot: int
    ballot: Ballot
    since: Seconds
    batch: Batch | None = None
    answers: dict[VoterId, Promise | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """Tell another supernode."""

    to: VoterId
    step: Step


@dataclass(frozen=True, slots=True)
class SendLog:
    """Send another supernode what was decided from a slot on, or a snapshot when that is gone."""

    to: VoterId
    slot: int


@dataclass(frozen=True, slots=True)
class KeepVote:
    """Make durable before anything is sent."""

    slot: int
    vote: Vote


@dataclass(frozen=True, slots=True)
class KeepBatch:
    """Make durable: the slot is decided. Votes up to it, and its changes, are needed no more."""

    slot: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class KeepChange:
    """Make durable in the outbox: an own change, accepted from now on."""

    change: Change


Effect = Send | SendLog | KeepVote | KeepBatch | KeepChange


class Machine(Protocol):
    """What is decided upon: it applies batches and says who decides the next slot."""

    @property
    def voters(self) -> frozenset[VoterId]:
        """The voters of the next slot."""

    @property
    def standbys(self) -> frozenset[VoterId]:
        """Who follows without a vote."""

    @property
    def knows_rules(self) -> bool:
        """Whether it can apply the next slot; else its program must be upgraded first."""

    def apply(self, slot: int, batch: Batch) -> None:
        """Take the decision of the next slot."""

    def is_answered(self, change: ChangeId) -> bool:
        """Whether a change was decided before, as far as that is remembered."""

"""Whether peers have the own history: every word of a supernode says the head at its height.

Two histories come of a vote that a disk lost, of a program that computes something else, of a file
that was changed. A peer whose head differs at one height is never counted again; who differs from
so many that the rest is no majority must stop.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nm_bus.core.ledger.boots import JOIN_AGAIN, KEEP_ONE
from nm_bus.core.ledger.voters import node_of
from nm_bus.messages import Log, Mark, VoterId

PAST = 1_000
"""At how many of the last heights the own head is remembered; further back, `earlier` is asked."""

MOST_PEERS = 1_000
"""Of how many peers the claims are remembered."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two heads at one height: the own and a peer's."""

    ours: Mark
    theirs: Mark


def why_outvoted(differing: Mapping[VoterId, Difference], *, is_tied: bool) -> str:
    """Why a ledger stops whose history too many others do not have, and what is to be done."""
    first = min(differing.values(), key=lambda two: two.ours.height)
    names = ", ".join(sorted(node_of(peer) for peer in differing))
    return (
        f"its history is not that of {names}: at revision {first.ours.revision} its head is"
        f" {first.ours.head[:16]}, theirs {first.theirs.head[:16]}; a disk lost a vote, or the"
        f" versions of nm-bus differ; {KEEP_ONE if is_tied else JOIN_AGAIN}"
    )


@dataclass(slots=True)
class Heads:
    """The own heads of late, what peers claim of heights that are not reached yet, who differs.

    `earlier` gives the own head at the revision that somebody claims, where that is known still.
    """

    earlier: Callable[[Mark], Mark | None] = lambda _claim: None
    differing: dict[VoterId, Difference] = field(default_factory=dict)
    _own: dict[int, Mark] = field(default_factory=dict)
    _ahead: dict[VoterId, Mark] = field(default_factory=dict)
    _found: list[VoterId] = field(default_factory=list)

    def begin(self, marks: Iterable[Mark]) -> None:
        """The own history is this one, as far back as it is known: at a start, after a snapshot."""
        self._own.clear()
        self.reached(marks)

    def reached(self, marks: Iterable[Mark]) -> None:
        """Go on to these heights, and hold what peers have claimed against the own heads."""
        for mark in marks:
            self._own[mark.height] = mark
            if len(self._own) > PAST:
                del self._own[next(iter(self._own))]
            for peer, claim in list(self._ahead.items()):
                if claim.height <= mark.height:
                    del self._ahead[peer]
                    self._compare(peer, claim)

    def counts(self, peer: VoterId, *claims: Mark | None) -> bool:
        """Take what a peer says of itself; whether its word counts, now and in what it says next.

        A claim that is ahead is compared once its height is reached: the first one of each peer,
        so that a peer that goes on all the time is compared as well.
        """
        for claim in claims:
            if claim is not None and claim.head and peer not in self.differing:
                self._take(peer, claim)
        return peer not in self.differing

    def _take(self, peer: VoterId, claim: Mark) -> None:
        self._compare(peer, claim)
        last = next(reversed(self._own), -1)
        if claim.height > last and len(self._ahead) < MOST_PEERS:
            self._ahead.setdefault(peer, claim)

    def forget_claim(self, peer: VoterId) -> None:
        """A new life begins: what an earlier one claimed, its disk may have lost."""
        self._ahead.pop(peer, None)

    def past(self) -> tuple[Mark, ...]:
        """The own heads of late, in the order of heights."""
        return tuple(self._own.values())

    def leads_here(self, peer: VoterId, marks: Iterable[Mark], height: int) -> bool:
        """Whether a peer's way, as far as it tells it, does not pass the own height with another
        head; if it does, that peer is never counted again."""
        return self.counts(peer, *(mark for mark in marks if mark.height == height))

    def proof(self, peer: VoterId, height: int) -> Log:
        """What shows a peer that it has another history: a log that goes on from another head than
        it has there. It may be so far behind that it sees no head of ours at its own height."""
        ours = self.differing[peer].ours
        return Log(ours.height + 1, (), height, ours)

    def found(self) -> list[tuple[VoterId, Difference]]:
        """Who was found to differ since this was asked last."""
        found, self._found = self._found, []
        return [(peer, self.differing[peer]) for peer in found]

    def is_tied(self, voters: frozenset[VoterId]) -> bool:
        """Whether those that differ are no majority of the voters either."""
        return 2 * len(voters & self.differing.keys()) <= len(voters)

    def is_outvoted(self, voters: frozenset[VoterId]) -> bool:
        """Whether those that do not differ are no majority of the voters."""
        return bool(voters) and 2 * len(voters - self.differing.keys()) <= len(voters)

    def _compare(self, peer: VoterId, claim: Mark) -> None:
        ours = self._own.get(claim.height)
        if ours is None and claim.height < next(iter(self._own), 0):
            ours = self.earlier(claim)
        if ours is not None and ours.head != claim.head and len(self.differing) < MOST_PEERS:
            self.differing[peer] = Difference(ours, claim)
            self._found.append(peer)

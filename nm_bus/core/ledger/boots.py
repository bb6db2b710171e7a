"""Whether a ledger's file is still the one that voted: what peers saw of it tells.

A supernode whose file was rolled back, restored or copied may have voted for what it no longer
knows, and must not vote as its old self. So each life has a number and a nonce, peers echo them
with the highest vote that they saw, and a new life only listens until enough of them have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nm_bus.core.ledger.effects import Vote
from nm_bus.messages import (
    Accept,
    Accepted,
    Ballot,
    Beat,
    Decided,
    Echo,
    Fetch,
    Log,
    Nack,
    Offer,
    Prepare,
    Promise,
    Snap,
    Step,
    VoterId,
)

JOIN_AGAIN = "join again as a new supernode: nm-bus init --replace --config FILE"
"""What is to be done about a file that may not vote any more."""

MOST_KNOWN = 1_000
"""How many incarnations of supernodes are remembered."""


@dataclass(slots=True)
class Boots:
    """What one life of a supernode knows of the others' lives, and they of its own.

    `known` is what it echoes: keep it, so that a file rolled back is found out after a restart.
    """

    me: VoterId
    boot: int
    nonce: str
    known: dict[VoterId, Echo] = field(default_factory=dict)
    _confirmed: set[VoterId] = field(default_factory=set)

    def heard(self, sender: VoterId, boot: int, nonce: str, step: Step) -> bool:
        """Remember who speaks and how far it is; False for a life that a later one has ended."""
        before = self.known.get(sender)
        if before is not None and (boot < before.boot or is_another(before, boot, nonce)):
            return False
        while before is None and len(self.known) >= MOST_KNOWN:
            self.known.pop(next(iter(self.known)))
        self.known[sender] = furthest(before, Echo(boot, nonce, *reached(step)))
        return True

    def echoed(
        self, sender: VoterId, echo: Echo | None, height: int, votes: Mapping[int, Vote]
    ) -> str:
        """Take what a peer knows of this supernode; gives why the ledger must stop, or nothing."""
        if echo is None:
            return ""
        if echo.boot > self.boot or is_another(echo, self.boot, self.nonce):
            return f"{sender} has heard another process that runs with this ledger, or a copy of it"
        if is_behind(echo, height, votes):
            return (
                f"{sender} has seen this ledger at slot {echo.slot}, and its file is at {height}:"
                " it was rolled back, restored or copied"
            )
        if echo.boot == self.boot:
            self._confirmed.add(sender)
        return ""

    def may_vote(self, voters: frozenset[VoterId]) -> bool:
        """Whether so many others know this life that no majority misses what it did before."""
        enough = len(voters | {self.me}) // 2
        return len(self._confirmed & (voters - {self.me})) >= enough


def is_another(echo: Echo, boot: int, nonce: str) -> bool:
    """Whether two processes have the same number of starts: then one of them is a copy."""
    return echo.boot == boot and echo.nonce != nonce


def is_behind(echo: Echo, height: int, votes: Mapping[int, Vote]) -> bool:
    """Whether a file lacks what a peer saw of it. An echo without a ballot: the slot is decided."""
    if echo.slot <= max(height, 0):
        return False
    vote = votes.get(echo.slot)
    return echo.ballot is None or vote is None or vote.promised < echo.ballot


def reached(step: Step) -> tuple[int, Ballot | None]:
    """What its sender must have on disk: a slot with its vote, or decided up to that slot."""
    match step:
        case Prepare() | Promise() | Accept() | Accepted():
            return step.slot, step.ballot
        case Nack():
            return step.slot, step.promised
        case Decided():
            return step.slot, None
        case Beat() | Log() | Offer() | Snap():
            return max(step.height, 0), None
        case Fetch():
            return max(step.slot - 1, 0), None
    return 0, None


def furthest(before: Echo | None, now: Echo) -> Echo:
    """The later life, with the furthest that was seen of any."""
    if before is None or _rank(now) >= _rank(before):
        return now
    return Echo(now.boot, now.nonce, before.slot, before.ballot)


def _rank(echo: Echo) -> tuple[int, bool, Ballot]:
    return echo.slot, echo.ballot is None, echo.ballot or Ballot(0, "")

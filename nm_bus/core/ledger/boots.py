"""Whether a ledger's file is still the one that voted: what peers saw of it tells.

A supernode whose file was rolled back, restored or copied may have voted for what it no longer
knows, and must not vote as its old self. So each life has a number and a nonce, peers echo them
with the highest vote that they saw, and a new life only listens until enough of them have.

A vote that a disk lost in its last moment is known to whom it was sent, its proposer, and to nobody
else. So a new life also asks what the others accepted, and accepts that too: it may be what the
lost vote was for. How far that goes:

- Three voters. The vote was sent to the proposer alone. Where that one lives, it says so, and this
  file stops. Where it is away, the third voter tells what it accepted itself; had it accepted
  nothing, this life and the third one may decide the slot again, and nothing can prevent that. When
  the proposer is back, its head differs, and it stops (see `nm_bus.core.ledger.heads`).
- Five voters. A decision needs two votes beside the proposer's. Unless both the proposer and the
  other one that accepted are away, the decision is found and kept; with both away and two others to
  confirm, it is as with three.
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
    Recalled,
    Snap,
    Step,
    VoterId,
)

JOIN_AGAIN = "join again as a new supernode: nm-bus init --replace --config FILE"
"""What is to be done about a file that may not vote any more."""

KEEP_ONE = (
    "neither side is a majority: choose whose history stays; there nm-bus init --new-epoch --config"
    " FILE, at the others nm-bus init --replace --config FILE"
)
"""What is to be done where the voters are split in halves."""

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
        return ""

    def recalled(self, sender: VoterId, echo: Echo) -> None:
        """A peer said what it accepted, and that has been taken over: it confirms this life, if it
        is this one that it knows."""
        if echo.boot == self.boot and echo.nonce == self.nonce:
            self._confirmed.add(sender)

    def may_vote(self, voters: frozenset[VoterId], *, waits: bool) -> bool:
        """Whether this life may vote: confirmed by all other voters, or when it `waits` no more for
        those that say nothing, by so many that no majority is without it or one of them."""
        others = voters - {self.me}
        enough = len(others) if waits else len(voters | {self.me}) // 2
        return len(self._confirmed & others) >= enough

    def asks(self, voters: frozenset[VoterId]) -> frozenset[VoterId]:
        """The voters that have not confirmed this life yet."""
        return voters - {self.me} - self._confirmed


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
        case Beat() | Log() | Offer() | Snap() | Recalled():
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

"""What `nm-bus bench joins` found: how long crowds took, and what others' joins cost them. Pure."""

from dataclasses import dataclass

from nm_bus.messages import Seconds
from nm_lab.bench.aims import Measured

Feeds = tuple[str, ...]

EVERYTHING: Feeds = ("",)
ONE_COMPONENT: Feeds = ("config/bench",)
"""What an inbox is bound to: all updates, or the documents of one component."""

NAMES = {EVERYTHING: "everything", ONE_COMPONENT: "one component"}

RATE_AIM = 5_000 / 60.0
"""Members that join in a second: 5,000 within a minute."""


@dataclass(frozen=True, slots=True)
class JoinWave:
    """Members that said hello at once. Times are since the first hello; `supernode` and `broker`
    are seconds of processor time until all is done and every update is published."""

    members: int
    joined: Seconds
    """When the ledger had all of them."""
    welcomed: Seconds
    """When the last inbox was made, and its member knew."""
    hellos: int
    revisions: int
    slots: int
    supernode: Seconds
    broker: Seconds


@dataclass(frozen=True, slots=True)
class JoinedCrowd:
    """A crowd that joined, and others that joined when its inboxes were there: so many `messages`
    came to all these inboxes because of the others."""

    feeds: Feeds
    first: JoinWave
    others: JoinWave
    messages: int

    @property
    def name(self) -> str:
        """What the inboxes are bound to."""
        return NAMES[self.feeds]

    @property
    def each(self) -> float:
        """Updates in an inbox, on average."""
        return self.messages / self.first.members

    @property
    def share(self) -> float:
        """Of the others' joins, how many an inbox was sent."""
        return self.each / self.others.members


@dataclass(frozen=True, slots=True)
class JoinFigures:
    """One crowd after the other, each on a federation of its own."""

    crowds: list[JoinedCrowd]

    def measured(self) -> list[Measured]:
        """Each figure beside its aim: of the last crowd, which is the largest."""
        last = self.crowds[-1]
        first = last.first
        times = {"members joined": first.joined, "inboxes made": first.welcomed}
        rates = [
            Measured(f"{name} per second, of {first.members}", first.members / took, RATE_AIM, "/s")
            for name, took in times.items()
        ]
        return [*rates, Measured("updates in an inbox, of others' joins", last.each, 0, most=True)]

"""Who may say what on the members' streams: the checks that a schema cannot make.

The broker vouches for the user and checked the routing key; by which binding a message came is
never trusted, since copies in CC headers pass the broker's topic permissions.
"""

from typing import NamedTuple

from nm_bus.messages import DomainKey, Event, Message, NodeId, Seconds, domain_key

FAR_FUTURE = 2 * 86_400.0
"""How far a sender's clock may be ahead. A wrong clock is no crime, nonsense is refused."""


class Refusal(NamedTuple):
    """Why a well-formed message is not taken: a short code and one sentence."""

    reason: str
    detail: str


def admit(
    event: Event[Message], user: NodeId | None, key: DomainKey, sent: Seconds, now: Seconds
) -> Refusal | None:
    """Check the sender and the time of a principal's event; None means that it may pass."""
    if user is None:
        return Refusal("no-user", "the message does not carry the broker user who sent it")
    if event.source != user:
        return Refusal("not-sender", f"source is {event.source}, but {user} sent it")
    if key != domain_key(user):
        return Refusal("not-key", f"routing key is {key}, but {user} sent it")
    if sent > now + FAR_FUTURE:
        return Refusal("far-future", f"time is {(sent - now) / 86_400.0:.0f} days ahead")
    return None

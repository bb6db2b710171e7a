"""Who may say what on the members' streams: the checks that a schema cannot make.

The broker vouches for the user and checked the routing key; by which binding a message came is
never trusted, since copies in CC headers pass the broker's topic permissions.
"""

from collections.abc import Mapping
from typing import Any

from nm_bus.codec import Reason, Rejected
from nm_bus.messages import DomainKey, Event, Message, NodeId, Seconds, domain_key

COPIED = Rejected(
    Reason.NOT_KEY, "a CC header sends copies to other keys, which older brokers do not check"
)

UNREADABLE = Rejected(
    Reason.UNREADABLE_HEADERS, "its headers are too long, or hold what no reader of AMQP takes"
)

FAR_FUTURE = 2 * 86_400.0
"""How far a sender's clock may be ahead. A wrong clock is no crime, nonsense is refused."""


def refused_headers(headers: Mapping[str, Any] | None) -> Rejected | None:
    """Refuse a message that its sender let the broker copy to further keys, or whose headers could
    not be looked at for that.

    A BCC header copies too, and cannot be seen here: the broker takes it away. What it reaches is
    bound to the same exchange: one of requests leads to the queue of its role alone, once.
    RabbitMQ before 4 lets a member's copies on `heartbeat` and `metrics` reach those who watch
    other members' keys there. They show its true key and sender, whose ingest process takes them
    as one.
    """
    if not headers:
        return None
    if Reason.UNREADABLE_HEADERS in headers:
        return UNREADABLE
    return COPIED if "CC" in headers else None


def vouched(event: Event[Message], user: NodeId | None) -> Rejected | None:
    """Check that the sender is who the broker says; None means that it is."""
    if user is None:
        return Rejected(Reason.NO_USER, "the message does not carry the broker user who sent it")
    if event.source != user:
        return Rejected(Reason.NOT_SENDER, f"source is {event.source}, but {user} sent it")
    return None


def admit(
    event: Event[Message], user: NodeId | None, key: DomainKey, sent: Seconds, now: Seconds
) -> Rejected | None:
    """Check the sender and the time of a principal's event; None means that it may pass."""
    if (refusal := vouched(event, user)) is not None:
        return refusal
    if key != domain_key(event.source):
        return Rejected(Reason.NOT_KEY, f"routing key is {key}, but {user} sent it")
    if sent > now + FAR_FUTURE:
        days = (sent - now) / 86_400.0
        return Rejected(Reason.FAR_FUTURE, f"time is {days:.0f} days ahead")
    return None

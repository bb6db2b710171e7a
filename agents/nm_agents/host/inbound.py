"""What comes into a program: read, vouched for, routed by its type, refused, settled; here alone.

A handler gets a message that was read and whose sender was checked. It returns None: acknowledge
it; a Rejected: put it in quarantine; LATER: the handler settles the delivery itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final, Protocol

from nm_agents.inhand import InHand
from nm_agents.quarantine import Kept
from nm_bus.codec import Decoded, Reason, Rejected, decode
from nm_bus.core.admission import refused_headers
from nm_bus.messages import Event, Message, Seconds
from nm_bus.transport.base import Consume, Delivery, Transport

# --- When a delivery is acknowledged. A refused one never is before it is safe elsewhere.


class Settling(Protocol):
    """The rule of one queue; each delivery goes through `came`, then `done` or `hold`."""

    def came(self, delivery: Delivery) -> None:
        """A delivery came."""

    def done(self, delivery: Delivery) -> None:
        """It was handled."""

    def hold(self, delivery: Delivery) -> None:
        """It was refused, and is on its way to where refused ones go."""

    def release(self, delivery: Delivery, kept: bool) -> None:
        """`kept`: it is in quarantine, so acknowledge it; else give it back to its queue."""


@dataclass(frozen=True, slots=True)
class EachAcked:
    """Every delivery is acknowledged once it was handled."""

    transport: Transport

    def came(self, delivery: Delivery) -> None:
        """Nothing yet."""

    def done(self, delivery: Delivery) -> None:
        """Acknowledge it."""
        self.transport.ack(delivery)

    def hold(self, delivery: Delivery) -> None:
        """It is not acknowledged yet; the others are not held up."""

    def release(self, delivery: Delivery, kept: bool) -> None:
        """Acknowledge it, or give it back to its queue."""
        if kept:
            self.transport.ack(delivery)
        else:
            self.transport.reject(delivery, requeue=True)


@dataclass(frozen=True, slots=True)
class AckedFirst:
    """Every delivery is acknowledged before it is handled: what ends the program does not come
    again, and what is lost by that is asked for again."""

    transport: Transport

    def came(self, delivery: Delivery) -> None:
        """Acknowledge it."""
        self.transport.ack(delivery)

    def done(self, delivery: Delivery) -> None:
        """Nothing more."""

    def hold(self, delivery: Delivery) -> None:
        """Nothing more."""

    def release(self, delivery: Delivery, kept: bool) -> None:
        """Nothing more."""


PREFETCH = 200


class Later(Enum):
    """What a handler gives when it settles the delivery itself."""

    LATER = "later"


LATER: Final = Later.LATER

Taken = Rejected | Later | None
Handler = Callable[[Event[Any], Delivery, Seconds], Taken]
Routes = Mapping[type[Message], Handler]
Vouch = Callable[[Event[Message], Delivery, Seconds], "Routes | Rejected"]
PutAside = Callable[[Delivery, Rejected, Kept], None]


def _silently(_delivery: Delivery, _rejected: Rejected) -> None:
    """Nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One queue as a program reads it.

    `vouch` checks the sender, and returns what it may say here as routes, or why it may say
    nothing. `read` decodes what is not written as principals write it. `refused` is called with
    what is refused, before that is put aside. `owed` does at once what handlers leave for later,
    such as storing.
    """

    queue: str
    vouch: Vouch
    settling: Settling
    read: Callable[[Delivery], Decoded] | None = None
    refused: Callable[[Delivery, Rejected], None] = _silently
    owed: Callable[[], None] | None = None
    prefetch: int = PREFETCH


@dataclass(frozen=True, slots=True)
class Inbound:
    """Reads queues. `put_aside` takes what is refused; `in_hand` marks what is being handled."""

    transport: Transport
    put_aside: PutAside
    in_hand: InHand | None = None

    def listen(self, channel: Channel) -> None:
        """Read a queue of messages, from now on."""
        self._consume(channel, self._handler(channel))

    def watch(self, channel: Channel, take: Consume) -> None:
        """Read a queue of what the broker itself writes, which are no messages of ours."""

        def taken(delivery: Delivery) -> None:
            take(delivery)
            channel.settling.done(delivery)

        self._consume(channel, taken)

    def _consume(self, channel: Channel, handler: Consume) -> None:
        if self.in_hand is not None:
            deadly = partial(self._deadly, channel)
            handler = self.in_hand.over(handler, deadly, channel.owed)
        self.transport.consume(channel.queue, handler, prefetch=channel.prefetch)

    def _handler(self, channel: Channel) -> Consume:
        """What a delivery goes through: looked up once, as there are thousands a second."""
        came, done, now = channel.settling.came, channel.settling.done, self.transport.now

        def handle(delivery: Delivery) -> None:
            came(delivery)
            found = taken(channel, delivery, now())
            if found is None:
                done(delivery)
            elif found is not LATER:
                self._refuse(channel, delivery, found)

        return handle

    def _deadly(self, channel: Channel, delivery: Delivery, rejected: Rejected) -> None:
        channel.settling.came(delivery)
        self._refuse(channel, delivery, rejected)

    def _refuse(self, channel: Channel, delivery: Delivery, rejected: Rejected) -> None:
        channel.settling.hold(delivery)
        channel.refused(delivery, rejected)
        self.put_aside(delivery, rejected, partial(channel.settling.release, delivery))


def taken(channel: Channel, delivery: Delivery, now: Seconds) -> Taken:
    """Read a delivery and hand it to its handler. Raises nothing for what it holds."""
    # before anything is read: copies would cost as often as they came
    if delivery.headers and (refusal := refused_headers(delivery.headers)) is not None:
        return refusal
    event = decode(delivery.body) if channel.read is None else channel.read(delivery)
    if isinstance(event, Rejected):
        return event
    routes = channel.vouch(event, delivery, now)
    if isinstance(routes, Rejected):
        return routes
    handler = routes.get(type(event.data))
    return handler(event, delivery, now) if handler is not None else astray(event.data)


def astray(data: Message) -> Rejected:
    """Refuse a message that has no route where it came."""
    return Rejected(Reason.WRONG_STREAM, f"{type(data).__name__} does not belong here")

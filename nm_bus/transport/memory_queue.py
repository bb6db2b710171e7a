"""A queue in memory, with the limits and the habits of RabbitMQ's.

Messages expire at the head alone; a full queue drops its head; what a limit throws away is
dead-lettered with its reason; what a consumer leaves unacknowledged goes back to its place.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol

from nm_bus.messages import Seconds
from nm_bus.topology import Queue
from nm_bus.transport.base import Outgoing, Timer


class Clock(Protocol):
    """Time as a memory broker needs it: seconds, and calls that are made later, in order."""

    def now(self) -> Seconds:
        """The time."""

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer:
        """Make a call after `delay` seconds; calls of one moment in the order of asking."""

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass until this is true."""


@dataclass(slots=True)
class Stored:
    """A message in a queue. `position` is its place in line, `expires` when it is worth nothing."""

    message: Outgoing
    position: int = 0
    expires: Seconds | None = None
    redelivered: bool = False


Receive = Callable[[Stored, int], None]
DeadLetter = Callable[[Queue, Outgoing, str], None]


@dataclass(slots=True, eq=False)
class Consumer:
    """Someone who reads a queue, and what was given to him and is not acknowledged yet."""

    receive: Receive
    prefetch: int
    exclusive: bool = False
    unacked: dict[int, Stored] = field(default_factory=dict)
    tags: Iterator[int] = field(default_factory=lambda: count(1))
    gone: bool = False

    @property
    def has_room(self) -> bool:
        """Whether another message may be given; a prefetch of 0 is no limit."""
        return self.prefetch == 0 or len(self.unacked) < self.prefetch


class MemoryQueue:
    """One queue of a memory broker. `dead` takes what is thrown away, `unused` says it expired."""

    def __init__(
        self, declared: Queue, clock: Clock, dead: DeadLetter, unused: Callable[[], None]
    ) -> None:
        self.declared, self._clock, self._dead, self._unused = declared, clock, dead, unused
        self._ready: deque[Stored] = deque()
        self._bytes = 0
        self.consumers: list[Consumer] = []
        self.paused = False
        self._positions = count(1)
        self._expiry: Timer | None = None
        self._lease: Timer | None = None
        self.used()

    def __len__(self) -> int:
        """How many messages wait, without those that were given out."""
        return len(self._ready)

    @property
    def unacked(self) -> int:
        """How many messages were given out and are not acknowledged."""
        return sum(len(consumer.unacked) for consumer in self.consumers)

    # --- in

    def put(self, message: Outgoing) -> bool:
        """Take a message at the end; False when the queue is full and refuses it."""
        full = self.declared.arguments.get("x-overflow") == "reject-publish" and self._excess(1)
        if full:
            return False
        self._ready.append(Stored(message, next(self._positions), self._expires(message)))
        self._bytes += len(message.body)
        while self._excess(0):
            self._throw("maxlen")
        self._expire()
        self.pump()
        return True

    def _expires(self, message: Outgoing) -> Seconds | None:
        ttl = self.declared.arguments.get("x-message-ttl")
        limits = [message.expiration, None if ttl is None else ttl / 1000]
        shortest = min((limit for limit in limits if limit is not None), default=None)
        return None if shortest is None else self._clock.now() + shortest

    def _excess(self, coming: int) -> bool:
        arguments = self.declared.arguments
        most, most_bytes = arguments.get("x-max-length"), arguments.get("x-max-length-bytes")
        if most is not None and len(self._ready) + coming > most:
            return True
        return most_bytes is not None and self._bytes > int(most_bytes)

    def _take(self) -> Stored:
        stored = self._ready.popleft()
        self._bytes -= len(stored.message.body)
        return stored

    def _refill(self, stored: Iterable[Stored]) -> None:
        self._ready = deque(stored)
        self._bytes = sum(len(each.message.body) for each in self._ready)

    def _throw(self, reason: str) -> None:
        self._dead(self.declared, self._take().message, reason)

    def _expire(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        while self._ready and (expires := self._ready[0].expires) is not None:
            remaining = expires - self._clock.now()
            if remaining > 0:
                self._expiry = self._clock.later(remaining, self._expire)
                return
            self._throw("expired")

    # --- out

    def add(self, consumer: Consumer) -> None:
        """Let a consumer read."""
        self.consumers.append(consumer)
        self.used()
        self.pump()

    def remove(self, consumer: Consumer) -> None:
        """The consumer is gone; what it did not acknowledge goes back to its place."""
        consumer.gone = True
        self.consumers.remove(consumer)
        self._put_back(list(consumer.unacked.values()))
        self.used()

    def ack(self, consumer: Consumer, tag: int, *, multiple: bool) -> None:
        """Forget one message that was given out; `multiple`: and all given out before it."""
        for done in self._tags(consumer, tag, multiple=multiple):
            del consumer.unacked[done]
        self.pump()

    def reject(self, consumer: Consumer, tag: int, *, requeue: bool) -> None:
        """Take back a message, or throw it away."""
        stored = consumer.unacked.pop(tag, None)
        if stored is not None and requeue:
            self._put_back([stored])
        elif stored is not None:
            self._dead(self.declared, stored.message, "rejected")
        self.pump()

    @staticmethod
    def _tags(consumer: Consumer, tag: int, *, multiple: bool) -> list[int]:
        if multiple:
            return [given for given in consumer.unacked if given <= tag]
        return [tag] if tag in consumer.unacked else []

    def _put_back(self, back: list[Stored]) -> None:
        for stored in back:
            stored.redelivered = True
        self._refill(sorted([*back, *self._ready], key=lambda stored: stored.position))
        self._expire()
        self.pump()

    def pump(self) -> None:
        """Give out what waits to those who have room, in turn."""
        while self._ready and not self.paused:
            consumer = next((c for c in self.consumers if c.has_room), None)
            if consumer is None:
                break
            self.consumers.remove(consumer)
            self.consumers.append(consumer)
            stored = self._take()
            tag = next(consumer.tags)
            consumer.unacked[tag] = stored
            self._clock.later(0.0, partial(self._arrive, consumer, stored, tag))
        self._expire()

    @staticmethod
    def _arrive(consumer: Consumer, stored: Stored, tag: int) -> None:
        if not consumer.gone:
            consumer.receive(stored, tag)

    # --- life

    def used(self) -> None:
        """Someone used the queue: it expires only when nobody does for its `x-expires`."""
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None
        expires = self.declared.arguments.get("x-expires")
        if expires is not None and not self.consumers:
            self._lease = self._clock.later(expires / 1000, self._unused)

    def stopped(self) -> None:
        """The broker stopped: nobody reads, and only what is on disk is left."""
        for consumer in list(self.consumers):
            self.remove(consumer)
        if self.declared.type == "classic":
            self._refill(stored for stored in self._ready if stored.message.persistent)
        self._expire()

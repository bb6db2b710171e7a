"""A link between two memory brokers, with all that a real one does to messages.

It moves what waits in an out queue to the peer's exchange at another broker, as a shovel does:
taken only when it was taken over, so a cut loses nothing; but delayed, repeated, reordered, and,
when told so, lost. Chance comes in as an argument.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from nm_bus.grants import link_user
from nm_bus.messages import NodeId, Seconds
from nm_bus.topology import LinkKind, out_queue, peer_exchange
from nm_bus.transport.base import Outcome, Timer
from nm_bus.transport.memory_broker import MemoryBroker
from nm_bus.transport.memory_queue import Clock, Consumer, Stored


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a link does: seconds of delay, and how often (0 to 1) it does each mischief."""

    delay: Seconds = 0.0
    jitter: Seconds = 0.0
    loss: float = 0.0
    duplicates: float = 0.0
    reordering: float = 0.0


RETRY: Seconds = 1.0
"""How often a link that is down tries to come up again."""


class SimulatedLink:
    """One shovel, from `source` at its own broker to `destination` at another one.

    `random` gives numbers from 0 to 1. While `cut`, everything waits in the out queue.
    """

    def __init__(
        self,
        clock: Clock,
        random: Callable[[], float],
        *,
        source: tuple[NodeId, MemoryBroker],
        destination: tuple[NodeId, MemoryBroker],
        kind: LinkKind,
        trouble: Trouble | None = None,
    ) -> None:
        self._clock, self._random = clock, random
        origin, self._from = source
        peer, self._to = destination
        self._queue, self._exchange = out_queue(peer, kind), peer_exchange(origin)
        self._user = link_user(origin)
        self._consumer: Consumer | None = None
        self._latest: Seconds = 0.0
        self._retry: Timer | None = None
        self.trouble = trouble or Trouble()
        self.moved = 0

    def open(self) -> None:
        """Start, or heal a cut. It comes up when both brokers run and the out queue is there."""
        if self._retry is None:
            self._try()

    def cut(self) -> None:
        """Cut it: what is under way and not confirmed waits in the out queue again."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._drop()

    @property
    def is_up(self) -> bool:
        """Whether it takes messages now."""
        return self._consumer is not None and not self._consumer.gone

    def _try(self) -> None:
        queue = self._from.queues.get(self._queue)
        runs = self._from.running and self._to.running and not self._to.paused
        if queue is not None and runs and not self.is_up:
            self._consumer = Consumer(self._take, prefetch=1_000)
            queue.add(self._consumer)
        self._retry = self._clock.later(RETRY, self._try)

    def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        queue = self._from.queues.get(self._queue)
        if consumer is not None and queue is not None and consumer in queue.consumers:
            queue.remove(consumer)

    def _take(self, stored: Stored, tag: int) -> None:
        copies = 2 if self._random() < self.trouble.duplicates else 1
        for _ in range(copies):
            self._clock.later(self._delay(), partial(self._bring, self._consumer, stored, tag))

    def _delay(self) -> Seconds:
        """How long it takes: never overtaking, unless this one is to be overtaken itself."""
        now, trouble = self._clock.now(), self.trouble
        arrives = now + trouble.delay + trouble.jitter * self._random()
        if self._random() < trouble.reordering:
            return arrives + trouble.delay + trouble.jitter - now
        self._latest = max(self._latest, arrives)
        return self._latest - now

    def _bring(self, consumer: Consumer | None, stored: Stored, tag: int) -> None:
        if consumer is None or consumer is not self._consumer or consumer.gone:
            return
        if self._random() >= self.trouble.loss and not self._publish(stored):
            self._drop()
            return
        self._from.queues[self._queue].ack(consumer, tag, multiple=False)

    def _publish(self, stored: Stored) -> bool:
        """Hand it over; False when the other side does not confirm it."""
        if not self._to.running or self._to.paused:
            return False
        message = replace(stored.message, exchange=self._exchange, user_id=self._user)
        confirmed = self._to.publish(self._user, message) is Outcome.CONFIRMED
        self.moved += confirmed
        return confirmed

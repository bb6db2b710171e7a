"""Declares topologies on a channel of its own, one after the other, and again after each loss.

Commands go out without waiting for an answer to each; one that is answered marks the end. A
declaration that the broker refuses closes the channel, and the next one gets a new channel.
"""

import logging
from collections.abc import Callable, Hashable
from functools import partial

import pika
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from nm_bus.topology import Topology
from nm_bus.transport.base import Outcome, Published
from nm_bus.transport.loop import Loop

LOGGER = logging.getLogger(__name__)


class Declarer:
    """Keeps what is to be declared; `idle` is called whenever all of it has been."""

    def __init__(self, loop: Loop, idle: Callable[[], None]) -> None:
        self._loop, self._idle = loop, idle
        self._kept: dict[Hashable, Topology] = {}
        self._waiting: dict[Hashable, list[Published]] = {}
        self._due: dict[Hashable, Topology] = {}
        self._connection: pika.SelectConnection | None = None
        self._channel: Channel | None = None
        self._current: Hashable | None = None

    @property
    def busy(self) -> bool:
        """Whether something is still to be declared on this connection."""
        return bool(self._due)

    def declare(self, topology: Topology, done: Published | None, *, renew: bool) -> None:
        """Declare now if connected; `renew`: and again on each connection."""
        key = topology.identity
        if renew:
            self._kept[key] = topology
        elif self._connection is None:
            if done is not None:
                self._loop.soon(partial(done, Outcome.LOST))
            return
        if done is not None:
            self._waiting.setdefault(key, []).append(done)
        if self._connection is not None:
            self._due[key] = topology
            if self._current is None:
                self._next()

    def open(self, connection: pika.SelectConnection) -> None:
        """Declare all of it on a connection that is open."""
        self._connection, self._due = connection, dict(self._kept)
        self._next()

    def lost(self) -> None:
        """The connection is gone: all is to be declared again on the next one."""
        self._connection = self._channel = self._current = None
        self._due = {}
        for key in [key for key in self._waiting if key not in self._kept]:
            self._tell(key, Outcome.LOST)

    def give_up(self) -> None:
        """There will be no other connection."""
        for key in list(self._waiting):
            self._tell(key, Outcome.LOST)

    def _next(self) -> None:
        if self._connection is None or not self._connection.is_open:
            return
        self._current = next(iter(self._due), None)
        if self._current is None:
            self._idle()
        elif self._channel is None:
            self._connection.channel(on_open_callback=self._opened)
        else:
            topology = self._due[self._current]
            for name in topology.deleted:
                self._channel.queue_delete(name)
            for exchange in topology.exchanges:
                self._channel.exchange_declare(exchange.name, exchange.type, durable=True)
            for queue in topology.queues:
                self._channel.queue_declare(
                    queue.name, durable=True, arguments=queue.declared_arguments()
                )
            for binding in topology.bindings:
                if binding.to_exchange:
                    self._channel.exchange_bind(binding.destination, binding.source, binding.key)
                else:
                    self._channel.queue_bind(binding.destination, binding.source, binding.key)
            self._channel.basic_qos(
                prefetch_count=1, callback=lambda _: self._finish(Outcome.CONFIRMED)
            )

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._closed)
        self._next()

    def _closed(self, _channel: Channel, reason: Exception) -> None:
        self._channel = None
        if isinstance(reason, ChannelClosedByBroker):
            LOGGER.error("the topology was refused: %s", reason.reply_text)
            self._finish(Outcome.REFUSED)

    def _finish(self, outcome: Outcome) -> None:
        if self._current is not None:
            key, self._current = self._current, None
            self._due.pop(key, None)
            self._tell(key, outcome)
        if self._current is None:
            self._next()

    def _tell(self, key: Hashable, outcome: Outcome) -> None:
        for done in self._waiting.pop(key, []):
            self._loop.call(partial(done, outcome))

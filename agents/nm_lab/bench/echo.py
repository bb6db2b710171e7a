"""The raw round trip over two links: what the brokers and the network take, without any supernode.

A message goes the way of every word between supernodes, out of one broker and over its link; the
bench reads it at the other broker and sends it back over the opposite link. Supernodes read it too,
as a report that nobody waits for, which they drop.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pika
from pika.adapters.blocking_connection import BlockingChannel

from nm_bus.codec import CONTENT_TYPE, encode
from nm_bus.errors import TimedOutError
from nm_bus.messages import NodeId, Report, Seconds
from nm_bus.settings import Broker, Tls
from nm_bus.topology import LinkKind, out_exchange, peer_exchange
from nm_lab.bench.crowd import channel

KEY = f"{LinkKind.CONTROL}.bench"
LIMIT: Seconds = 20.0
FILLER = "x" * 1_000
"""About as much as a step of the agreement that carries one change."""


@dataclass(slots=True)
class End:
    """One broker: what is sent from here to the other one, and what came from there."""

    node: NodeId
    other: NodeId
    channel: BlockingChannel
    _came: set[str] = field(default_factory=set)

    def listen(self) -> None:
        """Read what the other one's link brings from now on, beside the supernode."""
        queue = self.channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
        self.channel.queue_bind(queue, peer_exchange(self.other), KEY)
        self.channel.basic_consume(queue, self._take, auto_ack=True)

    def say(self, id: str) -> None:
        """Send a message to the other one."""
        report = Report(id, self.node, ok=False, error=FILLER)
        body = encode(report, source=self.node, id=id, time=time.time())
        properties = pika.BasicProperties(content_type=CONTENT_TYPE, message_id=id)
        self.channel.basic_publish(out_exchange(self.other), KEY, body, properties)

    def wait(self, id: str) -> None:
        """Wait until it has come; raises TimedOutError."""
        deadline = time.monotonic() + LIMIT
        while id not in self._came:
            if time.monotonic() > deadline:
                raise TimedOutError(f"the link from {self.other} to {self.node} brings nothing")
            self.channel.connection.process_data_events(time_limit=1)
        self._came.discard(id)

    def _take(
        self, _channel: object, _method: object, properties: pika.BasicProperties, _body: bytes
    ) -> None:
        self._came.add(properties.message_id or "")


@contextmanager
def echo(
    project: str, one: tuple[NodeId, Broker], other: tuple[NodeId, Broker], tls: Tls
) -> Iterator[Callable[[], Seconds]]:
    """Within, gives a function that measures one round trip between two brokers."""
    with channel(one[1], project, tls) as near, channel(other[1], project, tls) as far:
        here, there = End(one[0], other[0], near), End(other[0], one[0], far)
        here.listen()
        there.listen()
        yield lambda: _round_trip(here, there)


def _round_trip(here: End, there: End) -> Seconds:
    id, began = uuid4().hex, time.monotonic()
    here.say(id)
    there.wait(id)
    there.say(id)
    here.wait(id)
    return time.monotonic() - began

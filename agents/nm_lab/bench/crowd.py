"""The bench's publisher: one connection that stands for many members."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel

from nm_bus.errors import TimedOutError
from nm_bus.messages import Seconds
from nm_bus.settings import Broker, Tls
from nm_bus.transport.base import Outgoing
from nm_lab.bench.connections import parameters

ARRIVAL: Seconds = 60.0
"""How long the last published message may take to its queue."""


@contextmanager
def channel(broker: Broker, project: str, tls: Tls) -> Iterator[BlockingChannel]:
    """A channel of a connection of its own."""
    connection = pika.BlockingConnection(parameters(broker, project, tls))
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def fill(channel: BlockingChannel, messages: Iterable[Outgoing], queues: list[str]) -> list[int]:
    """Publish, and wait until all lie in the queues, which were empty; gives each one's depth."""
    for queue in queues:
        channel.queue_purge(queue)
    count = 0
    for message in messages:
        publish(channel, message)
        count += 1
    deadline = time.monotonic() + ARRIVAL
    while sum(depths := [depth(channel, queue) for queue in queues]) < count:
        if time.monotonic() > deadline:
            raise TimedOutError(f"{count - sum(depths)} of {count} messages did not arrive")
        time.sleep(0.02)
    return depths


def publish(channel: BlockingChannel, message: Outgoing) -> None:
    """Publish one message in the name of who is said to send it, without waiting."""
    properties = pika.BasicProperties(content_type=message.content_type, user_id=message.user_id)
    channel.basic_publish(message.exchange, message.key, message.body, properties)


def depth(channel: BlockingChannel, queue: str) -> int:
    """How many messages are ready in a queue."""
    count: int = channel.queue_declare(queue, passive=True).method.message_count
    return count

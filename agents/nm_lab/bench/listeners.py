"""`python -m nm_lab.bench.listeners CROWD`: a process that stands for many members' inboxes.

Each inbox has its own queue, and its own follower, which decodes, verifies and applies every
update. What comes by the exchange PLAIN is read and nothing else. Whenever all have something, a
line on standard output says since when. It ends when its standard input does.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import pika
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.spec import Basic

from nm_bus.codec import Rejected, decode
from nm_bus.core.ledger.follower import Apply, Follower, Place
from nm_bus.errors import RefusedError
from nm_bus.messages import NodeId, Seconds, Update
from nm_bus.settings import Broker, Tls
from nm_bus.topology import (
    PEER_BYTES,
    Binding,
    Exchange,
    Queue,
    Sizes,
    Topology,
    inbox_topology,
)
from nm_lab.bench.connections import parameters

PLAIN = "bench.plain"
"""An exchange like that of the updates, by which the same bytes reach the same queues."""

STANDARD_INPUT = 0


class InboxCrowd(msgspec.Struct, frozen=True):
    """So many inboxes, spread over the brokers, as a user that may read and make everything.

    `files` are the user's: of the authority, the certificate and the key. The inboxes go on after
    `revision` of `epoch`.
    """

    project: str
    brokers: tuple[Broker, ...]
    files: tuple[str, str, str]
    count: int
    epoch: int
    revision: int


class AllHave(msgspec.Struct, frozen=True):
    """All inboxes have it since `at`: the revision, or a plain message's number.

    Revision and number 0: all are ready.
    """

    at: Seconds
    revision: int = 0
    number: int = 0


Everybody = Callable[[AllHave], None]


@dataclass(slots=True)
class Gathering:
    """Tells when all inboxes have the same."""

    count: int
    told: Everybody
    _have: Counter[tuple[int, int]] = field(default_factory=Counter)

    def one_has(self, *, revision: int = 0, number: int = 0) -> None:
        """One more inbox has it."""
        what = (revision, number)
        self._have[what] += 1
        if self._have[what] == self.count:
            del self._have[what]
            self.told(AllHave(time.time(), revision, number))


@dataclass(slots=True)
class SimulatedInbox:
    """One simulated member: what comes is applied, or only read."""

    node: NodeId
    follower: Follower
    gathering: Gathering

    def receive(
        self,
        channel: Channel,
        method: Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        """Take what the queue brought."""
        if method.exchange == PLAIN:
            self.gathering.one_has(number=int(properties.message_id or 0))
        else:
            self.apply(body)
        channel.basic_ack(method.delivery_tag)

    def apply(self, body: bytes) -> None:
        """Do with an update what a member does; raises RefusedError for what is none."""
        event = decode(body, limit=PEER_BYTES)
        if isinstance(event, Rejected) or not isinstance(event.data, Update):
            raise RefusedError(f"what came is no update: {event}")
        for move in self.follower.take(event.data):
            if not isinstance(move, Apply):
                raise RefusedError(f"an update cannot be applied: {move}")
            self.gathering.one_has(revision=move.update.revision)


@dataclass(slots=True)
class InboxConnection:
    """The inboxes at one broker, on one connection."""

    inboxes: list[SimulatedInbox]
    _channel: Channel | None = None

    def connect(self, where: pika.ConnectionParameters, loop: IOLoop) -> None:
        """Begin; a failure ends the process."""
        pika.SelectConnection(
            where,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=_failed,
            on_close_callback=_failed,
            custom_ioloop=loop,
        )

    def _opened(self, channel: Channel) -> None:
        """Make all queues without waiting for any: the broker keeps the order.

        They go when nobody reads them any more.
        """
        channel.add_on_close_callback(_failed)
        channel.exchange_declare(PLAIN, "topic", durable=True)
        for inbox in self.inboxes:
            ready = partial(_ready, inbox)
            for queue in topology(inbox.node).queues:
                arguments = queue.declared_arguments()
                channel.queue_declare(
                    queue.name, durable=True, auto_delete=True, arguments=arguments
                )
            for binding in topology(inbox.node).bindings:
                channel.queue_bind(binding.destination, binding.source, binding.key)
            channel.basic_consume(
                topology(inbox.node).queues[0].name, inbox.receive, callback=ready
            )


def topology(node: NodeId) -> Topology:
    """What one inbox needs: that of a member, and the same bytes by the plain exchange."""
    inbox = inbox_topology(node, Sizes(), feeds=("",))
    queue: Queue = inbox.queues[0]
    return inbox + Topology((Exchange(PLAIN),), (), (Binding(PLAIN, queue.name),))


def _ready(inbox: SimulatedInbox, _frame: object) -> None:
    inbox.gathering.one_has()


def _failed(_connection: object, reason: BaseException) -> None:
    raise reason


def main() -> None:
    """Listen as the crowd that the only argument holds as JSON."""
    crowd = msgspec.json.decode(sys.argv[1], type=InboxCrowd)
    tls = Tls(*map(Path, crowd.files))
    gathering = Gathering(crowd.count, _say)
    inboxes = [
        SimulatedInbox(
            f"inbox{n:04}.bench.example",
            Follower(Place(crowd.epoch, crowd.revision, "")),
            gathering,
        )
        for n in range(crowd.count)
    ]
    loop = IOLoop()
    for n, broker in enumerate(crowd.brokers):
        line = InboxConnection(inboxes[n :: len(crowd.brokers)])
        line.connect(parameters(broker, crowd.project, tls), loop)
    loop.add_handler(STANDARD_INPUT, lambda *_: _ended(loop), loop.READ)
    loop.start()


def _ended(loop: IOLoop) -> None:
    if not os.read(STANDARD_INPUT, 1):
        loop.stop()


def _say(heard: AllHave) -> None:
    print(msgspec.json.encode(heard).decode(), flush=True)


if __name__ == "__main__":
    main()

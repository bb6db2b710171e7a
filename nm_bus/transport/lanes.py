"""Queues that come and go, declared side by side on a few channels.

The broker waits for its disk at each durable queue, one channel after the other: a thousand members
that come together would wait for one another. What concerns one queue stays in order.
"""

from zlib import crc32

import pika

from nm_bus.topology import Topology
from nm_bus.transport.base import Published
from nm_bus.transport.declarer import Declarer
from nm_bus.transport.loop import Loop

LANES = 8
"""How many are declared at once: with more of them the broker is no faster."""


class DeclaringLanes:
    """Declares once what is asked for, on the connection that is open; each lane opens its channel
    when it has something to declare."""

    def __init__(self, loop: Loop) -> None:
        self._lanes = [Declarer(loop, _rest) for _ in range(LANES)]

    def declare(self, topology: Topology, done: Published | None) -> None:
        """Declare now; LOST when there is no connection, or it is lost meanwhile."""
        self._lane(topology).declare(topology, done, renew=False)

    def open(self, connection: pika.SelectConnection) -> None:
        """From now on, on this connection."""
        for lane in self._lanes:
            lane.open(connection)

    def lost(self) -> None:
        """The connection is gone."""
        for lane in self._lanes:
            lane.lost()

    def give_up(self) -> None:
        """There will be no other connection."""
        for lane in self._lanes:
            lane.give_up()

    def _lane(self, topology: Topology) -> Declarer:
        names = "\n".join(sorted({*topology.deleted, *(queue.name for queue in topology.queues)}))
        return self._lanes[crc32(names.encode()) % LANES]


def _rest() -> None:
    """Nothing waits for a lane that has declared all it had."""

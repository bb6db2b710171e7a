"""Members' connections, as the broker tells of them: a lost one is a hint, at once."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from nm_agents.host.inbound import Channel, EachAcked, Inbound
from nm_agents.host.sender import Sender
from nm_agents.quarantine import Quarantine
from nm_agents.supernode.broker.calls import BrokerCalls, nothing
from nm_agents.supernode.broker.watch import BrokerWatch
from nm_agents.supernode.part import Part
from nm_bus.core.alerts.conditions import Condition, quarantine_growing
from nm_bus.core.connections import Connections
from nm_bus.core.view import View
from nm_bus.messages import Connection, Seconds, Supernode, domain_key
from nm_bus.topology import EVENTS_QUEUE, HEARTBEAT
from nm_bus.transport.base import Delivery, Flow, Status, Transport

LISTED_AFTER: Seconds = 6.0
"""The broker lists a connection only some seconds after it was opened."""


@dataclass(slots=True)
class ConnectionsPart(Part):
    """Reads the broker's events, and hands hints to the ingest process that has the member."""

    transport: Transport
    sender: Sender
    inbound: Inbound
    view: View
    calls: BrokerCalls
    connections: Connections = field(default_factory=Connections)

    def start(self) -> None:
        """Read the broker's events."""
        settling = EachAcked(self.transport)
        self.inbound.watch(Channel(EVENTS_QUEUE, lambda *_: {}, settling), self.take)

    def connected(self) -> None:
        """Ask who is connected, once the broker can tell."""
        self.transport.later(LISTED_AFTER, self._list)

    def connection(self, status: Status) -> None:
        """Forget who is connected, when nothing tells of them any more."""
        if status.flow not in (Flow.UP, Flow.BLOCKED):
            self.connections.forgotten()

    def take(self, delivery: Delivery) -> None:
        """Take an event of the broker; of one that says nothing of a connection, nothing."""
        headers = delivery.headers or {}
        name = str(headers.get("name", ""))
        if delivery.key == "connection.created":
            self._hint(self.connections.opened(name, str(headers.get("user", ""))))
        elif delivery.key == "connection.closed":
            self._hint(self.connections.closed(name))

    def _list(self) -> None:
        self.calls.call(BrokerWatch.connections, self.connections.listed, nothing)

    def _hint(self, hint: Connection | None) -> None:
        if hint is not None and self.view.home(hint.node) == self.sender.source:
            self.sender.publish(HEARTBEAT, domain_key(hint.node), hint)


# --- Messages that were refused at this supernode: counted, described, and a condition.


@dataclass(slots=True)
class RefusalsPart(Part):
    """Those of this process by its quarantine, those of its ingest processes by their word."""

    view: View
    quarantine: Quarantine
    _count: int = 0
    _last: Seconds | None = None

    def start(self) -> None:
        """What was refused in an earlier life is no news."""
        self._count = self.view.refused(self.view.origin)

    def conditions(self, now: Seconds) -> Iterator[Condition]:
        """Messages are being refused."""
        own = self.quarantine.count + self.quarantine.dropped
        count = self.view.refused(self.view.origin) + own
        if count > self._count:
            self._last = now
        self._count = count
        yield quarantine_growing(self.view.origin, self._last, now)

    def describe(self, state: Supernode, now: Seconds) -> Supernode:
        """How many refused messages are nowhere."""
        dropped = self.quarantine.dropped + self.view.dropped(self.view.origin)
        broker = msgspec.structs.replace(state.broker, dropped=dropped)
        return msgspec.structs.replace(state, broker=broker)

"""Members' connections, as the broker tells of them: a lost one is a hint, at once."""

from dataclasses import dataclass, field

from nm_agents.host.inbound import Channel, Inbound
from nm_agents.host.sender import Sender
from nm_agents.host.settling import EachAcked
from nm_agents.supernode.broker.calls import BrokerCalls, nothing
from nm_agents.supernode.broker.watch import BrokerWatch
from nm_agents.supernode.part import Part
from nm_bus.core.connections import Connections
from nm_bus.core.view import View
from nm_bus.messages import Connection, Seconds, domain_key
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

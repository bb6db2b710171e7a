"""From a member's stream to the core: who may say what here, and what becomes of it.

The hot path of a supernode: nothing here waits, logs or allocates more than it must.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from nm_agents.host.inbound import Routes
from nm_bus.codec import Reason, Rejected
from nm_bus.core.admission import admit
from nm_bus.core.ingest import Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.core.sequence import Novelty
from nm_bus.core.windows import Windows, kinds
from nm_bus.messages import (
    Canary,
    Connection,
    Declared,
    Event,
    Heartbeat,
    Message,
    Metrics,
    NodeId,
    Properties,
    Running,
    Seconds,
)
from nm_bus.topology import HEARTBEAT
from nm_bus.transport.base import Delivery

FAR = Rejected(Reason.FAR_SEQUENCE, "sequence: leaps further than any sender can have counted")


@dataclass(slots=True)
class PartitionReader:
    """Feeds one partition's core; `pipes` are its own queues, by name. `changed` is called with
    each member of which something is to be stored."""

    ingest: Ingest
    windows: Windows
    pipes: dict[str, Pipe]
    changed: Callable[[NodeId], None] = lambda _node: None
    _members: Routes = field(init=False)
    _own: Routes = field(init=False)

    def __post_init__(self) -> None:
        self._members = {
            Heartbeat: self._heartbeat,
            Metrics: self._metrics,
            Properties: self._properties,
            Running: self._running,
        }
        self._own = {Canary: self._returned, Connection: self._connection}

    def vouch(self, event: Event[Message], delivery: Delivery, now: Seconds) -> Routes | Rejected:
        """What a sender may say on the streams: its supernode one thing, a member another."""
        if delivery.user_id == self.ingest.origin:
            return self._own
        sent = event.time.timestamp()
        return admit(event, delivery.user_id, delivery.key, sent, now) or self._members

    def _heartbeat(
        self, event: Event[Heartbeat], _delivery: Delivery, now: Seconds
    ) -> Rejected | None:
        novelty = self.ingest.heard(event.source, event.data, event.time.timestamp(), now)
        return FAR if novelty is Novelty.FAR else None

    def _metrics(self, event: Event[Metrics], _delivery: Delivery, now: Seconds) -> Rejected | None:
        node, metrics = event.source, event.data
        novelty = self.ingest.sampled(node, metrics, now)
        if novelty is Novelty.FAR:
            return FAR
        if novelty is Novelty.NEXT or novelty is Novelty.RESTARTED:
            lookup = partial(self._kind, node)
            if metrics.declared:
                self.windows.declare(node, lookup)
            self.windows.feed(node, metrics.values, now - metrics.age, now, lookup)
        self.changed(node)
        return None

    def _properties(self, event: Event[Properties], _delivery: Delivery, now: Seconds) -> None:
        self.ingest.described(event.source, event.data, now)
        self.changed(event.source)

    def _running(self, event: Event[Running], _delivery: Delivery, now: Seconds) -> None:
        self.ingest.runs(event.source, event.data, now)
        self.changed(event.source)

    def _kind(self, node: NodeId, series: str) -> Declared:
        return kinds(self.ingest.declared(node))(series)

    def _connection(self, event: Event[Connection], _delivery: Delivery, now: Seconds) -> None:
        self.ingest.connection(event.data, now)

    def _returned(self, event: Event[Canary], delivery: Delivery, now: Seconds) -> None:
        canary = event.data
        if canary.incarnation != self.ingest.incarnation:
            return
        if canary.path in self.pipes:
            self.pipes[canary.path].heard(canary.sent, now)
        elif canary.path == HEARTBEAT:
            self.ingest.owns(delivery.key)

"""From bytes to the core: one delivery of a member's stream, checked, decoded and handed on.

The hot path of a supernode: nothing here waits, logs or allocates more than it must.
"""

from dataclasses import dataclass
from functools import partial

from nm_bus.codec import Reason, Rejected, decode
from nm_bus.core.admission import admit, refused_headers
from nm_bus.core.ingest import Ingest
from nm_bus.core.kinds import kinds
from nm_bus.core.pipe import Pipe
from nm_bus.core.sequence import Novelty
from nm_bus.core.windows import Windows
from nm_bus.messages import (
    Canary,
    Connection,
    Declared,
    DomainKey,
    Heartbeat,
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
class Reader:
    """Feeds one partition's core; `pipes` are its own queues, by name."""

    ingest: Ingest
    windows: Windows
    pipes: dict[str, Pipe]

    def take(self, delivery: Delivery, now: Seconds) -> Rejected | None:
        """Take a delivery, or say why it cannot be taken. Raises nothing, whatever it holds."""
        event = decode(delivery.body)
        if isinstance(event, Rejected):
            return event
        if delivery.user_id == self.ingest.origin:
            return self._own(event.data, delivery.key, now)
        if delivery.headers and (refusal := refused_headers(delivery.headers)) is not None:
            return refusal
        sent = event.time.timestamp()
        refusal = admit(event, delivery.user_id, delivery.key, sent, now)
        if refusal is not None:
            return refusal
        return self._members(event.source, event.data, sent, now)

    def _members(self, node: NodeId, data: object, sent: Seconds, now: Seconds) -> Rejected | None:
        if type(data) is Heartbeat:
            novelty = self.ingest.heard(node, data, sent, now)
        elif type(data) is Metrics:
            novelty = self.ingest.sampled(node, data, now)
            if novelty is Novelty.NEXT or novelty is Novelty.RESTARTED:
                self._feed(node, data, now)
        elif type(data) is Properties:
            self.ingest.described(node, data, now)
            return None
        elif type(data) is Running:
            self.ingest.runs(node, data, now)
            return None
        else:
            return _astray(data)
        return FAR if novelty is Novelty.FAR else None

    def _feed(self, node: NodeId, metrics: Metrics, now: Seconds) -> None:
        lookup = partial(self._kind, node)
        if metrics.declared:
            self.windows.declare(node, lookup)
        self.windows.feed(node, metrics.values, now - metrics.age, now, lookup)

    def _kind(self, node: NodeId, series: str) -> Declared:
        return kinds(self.ingest.declared(node))(series)

    def _own(self, data: object, key: DomainKey, now: Seconds) -> Rejected | None:
        if type(data) is Canary:
            if data.incarnation == self.ingest.incarnation:
                self._returned(data, key, now)
        elif type(data) is Connection:
            self.ingest.connection(data, now)
        else:
            return _astray(data)
        return None

    def _returned(self, canary: Canary, key: DomainKey, now: Seconds) -> None:
        if canary.path in self.pipes:
            self.pipes[canary.path].heard(canary.sent, now)
        elif canary.path == HEARTBEAT:
            self.ingest.owns(key)


def _astray(data: object) -> Rejected:
    return Rejected(Reason.WRONG_STREAM, f"{type(data).__name__} does not belong here")

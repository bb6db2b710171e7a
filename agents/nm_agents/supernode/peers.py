"""What comes out of the links from other supernodes, and what is said into them."""

from dataclasses import dataclass
from functools import partial

import msgspec

from nm_agents.quarantine import Quarantine, settle
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.sessions import Sessions
from nm_agents.supernode.outbox import Outbox
from nm_agents.supernode.requests import Asker, Requests
from nm_bus.codec import Reason, Rejected, decode
from nm_bus.core.alerts import Alerts, key_of
from nm_bus.core.hearing import Hearing
from nm_bus.core.kinds import kinds
from nm_bus.core.pipe import Pipe
from nm_bus.core.view import View
from nm_bus.core.windows import Windows
from nm_bus.grants import link_user
from nm_bus.messages import (
    Alert,
    Ask,
    Canary,
    Event,
    Ledger,
    Message,
    NodeId,
    Report,
    Rollups,
    Seconds,
    Statement,
    Supernode,
)
from nm_bus.topology import PEER_BYTES, LinkKind
from nm_bus.transport.base import Delivery, Transport


@dataclass(slots=True)
class Peers:
    """The ears of one supernode for the others and for its own processes."""

    origin: NodeId
    incarnation: str
    transport: Transport
    view: View
    windows: Windows
    hearing: Hearing
    ears: Pipe
    alerts: Alerts
    outbox: Outbox
    requests: Requests
    quarantine: Quarantine
    ledger: LedgerDriver | None = None
    sessions: Sessions | None = None

    def take(self, peer: NodeId, kind: LinkKind, delivery: Delivery) -> None:
        """Take what one peer's link brought; the exchange tells who speaks, the user confirms."""
        event = decode(delivery.body, limit=PEER_BYTES)
        if isinstance(event, Event) and (refusal := _speaks_for(peer, delivery, event)):
            event = refusal
        if isinstance(event, Rejected):
            self._refuse(delivery, event)
            return
        now = self.transport.now()
        self.view.heard(peer, now)
        if isinstance(event.data, Alert):
            self._alert(delivery, event.data)
        elif (astray := self._told(peer, kind, event.data, now)) is not None:
            self._refuse(delivery, astray)
        else:
            self.transport.ack(delivery)

    def own(self, delivery: Delivery) -> None:
        """Take what this supernode's own ingest processes say, and its word to itself."""
        event = decode(delivery.body, limit=PEER_BYTES)
        if isinstance(event, Event) and delivery.user_id != self.origin:
            event = Rejected(Reason.NOT_SENDER, f"{delivery.user_id} is no process of ours")
        refusal = (
            event if isinstance(event, Rejected) else self._own(event.data, self.transport.now())
        )
        if refusal is not None:
            self._refuse(delivery, refusal)
        else:
            self.transport.ack(delivery)

    def _refuse(self, delivery: Delivery, rejected: Rejected) -> None:
        self.quarantine.put(delivery, rejected, partial(settle, self.transport, delivery))

    def _told(self, peer: NodeId, kind: LinkKind, data: Message, now: Seconds) -> Rejected | None:
        match data:
            case Canary():
                self.hearing.canary((peer, kind), data, now)
            case Ask():
                self.requests.ask(Asker(data.request, supernode=peer), data)
            case Ledger():
                return self.ledger.take(peer, data) if self.ledger is not None else None
            case Report():
                self.requests.reported(data, peer, relayed=True)
            case _:
                return self._state(data, now)
        return None

    def _own(self, data: Message, now: Seconds) -> Rejected | None:
        if not isinstance(data, Canary):
            return self._state(data, now)
        if data.incarnation == self.incarnation:
            self.ears.heard(data.sent, now)
        return None

    def _state(self, data: Message, now: Seconds) -> Rejected | None:
        match data:
            case Statement():
                self.view.stated(data, now)
            case Supernode():
                self.view.described(data, now)
                if self.sessions is not None:
                    self.sessions.told(data.sessions)
            case Rollups():
                self._absorb(data, now)
            case _:
                return Rejected(Reason.WRONG_STREAM, f"{type(data).__name__} does not belong here")
        return None

    def _absorb(self, rollups: Rollups, now: Seconds) -> None:
        for node, series in rollups.nodes.items():
            lookup = kinds({each.name: each for each in self.view.declared(node)})
            one = msgspec.structs.replace(rollups, nodes={node: series})
            self.windows.absorb(one, now, lookup)

    def _alert(self, delivery: Delivery, alert: Alert) -> None:
        if alert.origin in self.view.outsiders:
            self.transport.ack(delivery)
            return
        transitions = self.alerts.learn(alert)
        self.outbox.put(transitions, self.alerts.active, key_of(alert))
        self.outbox.relay(alert, partial(settle, self.transport, delivery))


def _speaks_for(peer: NodeId, delivery: Delivery, event: Event[Message]) -> Rejected | None:
    """Refuse what the link's user did not bring, or what a peer says in another one's name."""
    if delivery.user_id != link_user(peer):
        return Rejected(Reason.NOT_SENDER, f"{delivery.user_id} is not the link of {peer}")
    spoken = getattr(event.data, "origin", peer)
    if event.source != peer or spoken != peer:
        return Rejected(Reason.NOT_SENDER, f"{peer} speaks for {event.source}, {spoken}")
    return None

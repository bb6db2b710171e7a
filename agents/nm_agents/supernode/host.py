"""One supernode at work: its channels, and the parts to which they lead."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nm_agents.host.inbound import Channel, EachAcked, Inbound, Routes, Vouch
from nm_agents.supernode.part import Part
from nm_agents.supernode.requests import RequestChannel
from nm_broker.project import log_of, topology_of
from nm_bus.codec import Reason, Rejected, decode
from nm_bus.core.view import View
from nm_bus.grants import link_user
from nm_bus.identity.role import ASKERS
from nm_bus.messages import Event, Message, NodeId, Seconds
from nm_bus.settings import SupernodeSettings
from nm_bus.topology import PEER_BYTES, REPORTS, LinkKind, peer_queue
from nm_bus.transport.base import Delivery, Flow, Status, Transport

P = TypeVar("P", bound=Part)
K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class SupernodeHost:
    """Starts the parts in their order, and ends them in it."""

    settings: SupernodeSettings
    transport: Transport
    inbound: Inbound
    view: View
    requests: RequestChannel
    parts: tuple[Part, ...]
    _is_connected: bool = False

    def start(self) -> None:
        """Declare, listen, and let every part begin."""
        self.transport.declare(topology_of(self.settings))
        self.transport.declare(log_of(self.settings))
        self.transport.on_status(self._status)
        for channel in self._channels():
            self.inbound.listen(channel)
        for part in self.parts:
            part.start()

    def answer(self) -> None:
        """Begin to take requests: once it is known to which of the broker's nodes answers may go,
        or that this cannot be known."""
        for role in ASKERS:
            self.inbound.listen(self.requests.channel(role))

    def stop(self) -> None:
        """End the parts, and the connection."""
        for part in self.parts:
            part.close()
        self.transport.stop()

    def part(self, kind: type[P]) -> P:
        """The part of a kind. Raises StopIteration when there is none."""
        return next(part for part in self.parts if isinstance(part, kind))

    def _status(self, status: Status) -> None:
        before, self._is_connected = self._is_connected, status.flow in (Flow.UP, Flow.BLOCKED)
        if not self._is_connected and self.inbound.in_hand is not None:
            self.inbound.in_hand.lost()
        for part in self.parts:
            part.connection(status)
            if self._is_connected and not before:
                part.connected()

    def _channels(self) -> list[Channel]:
        own = merged(part.from_own() for part in self.parts)
        theirs = merged(part.from_peers() for part in self.parts)
        links = [
            self._channel(peer_queue(peer.node, kind), partial(self._peer, theirs, peer.node))
            for peer in self.settings.peers
            for kind in LinkKind
        ]
        return [self._channel(REPORTS, partial(_own, self.settings.node, own)), *links]

    def _channel(self, queue: str, vouch: Vouch) -> Channel:
        return Channel(queue, vouch, EachAcked(self.transport), partial(_read, PEER_BYTES))

    def _peer(
        self, routes: Routes, peer: NodeId, event: Event[Message], delivery: Delivery, now: Seconds
    ) -> Routes | Rejected:
        """What a peer may say; that it speaks at all is a sign of life."""
        refusal = speaks_for(peer, event, delivery)
        if refusal is None:
            self.view.heard(peer, now)
        return refusal or routes


def merged(tables: Iterable[Mapping[K, V]]) -> dict[K, V]:
    """One table of several. Raises ValueError for what two of them claim."""
    found: dict[K, V] = {}
    for table in tables:
        if twice := found.keys() & table.keys():
            raise ValueError(f"two parts claim {twice}")
        found |= table
    return found


def _read(limit: int, delivery: Delivery) -> Event[Message] | Rejected:
    return decode(delivery.body, limit=limit)


def _own(
    node: NodeId, routes: Routes, _event: Event[Message], delivery: Delivery, _now: Seconds
) -> Routes | Rejected:
    if delivery.user_id != node:
        return Rejected(Reason.NOT_SENDER, f"{delivery.user_id} is no process of ours")
    return routes


def speaks_for(peer: NodeId, event: Event[Message], delivery: Delivery) -> Rejected | None:
    """Refuse what the link's user did not bring, or what a peer says in another one's name. The
    exchange tells which peer's link it is, the broker's word who brought it."""
    if delivery.user_id != link_user(peer):
        return Rejected(Reason.NOT_SENDER, f"{delivery.user_id} is not the link of {peer}")
    spoken = getattr(event.data, "origin", peer)
    if event.source != peer or spoken != peer:
        return Rejected(Reason.NOT_SENDER, f"{peer} speaks for {event.source}, {spoken}")
    return None

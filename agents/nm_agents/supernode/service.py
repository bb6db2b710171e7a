"""The supernode at work: one view from what its processes and its peers say; alerts; answers.

A loop of deliveries and ticks. What may wait goes to the worker; what must not be lost is stored
before it is said.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import msgspec

from nm_agents.inhand import InHand
from nm_agents.quarantine import Quarantine, settle
from nm_agents.supernode.brokerwatch import BrokerWatch, Look
from nm_agents.supernode.children import Children
from nm_agents.supernode.events import log_alert, log_link
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.sessions import Sessions
from nm_agents.supernode.ledger.troubles import troubles
from nm_agents.supernode.outbox import Outbox
from nm_agents.supernode.peers import Peers
from nm_agents.supernode.requests import Requests
from nm_agents.supernode.worker import Worker
from nm_broker.links import Link, link_state
from nm_broker.project import log_of, topology_of
from nm_bus.codec import Rejected, decode, encode
from nm_bus.core.admission import refused_headers, vouched
from nm_bus.core.alerts import Alerts, key_of
from nm_bus.core.conditions import conditions, speaker
from nm_bus.core.connections import Connections
from nm_bus.core.hearing import Hearing
from nm_bus.core.ledger.voters import node_of
from nm_bus.core.links import LinkAudit, LinkSeen
from nm_bus.core.pipe import Pipe
from nm_bus.core.view import View
from nm_bus.errors import NmBusError
from nm_bus.identity.role import ASKERS
from nm_bus.messages import (
    Alert,
    BrokerState,
    Canary,
    Connection,
    Event,
    LinkState,
    Message,
    NodeId,
    Seconds,
    Supernode,
    domain_key,
)
from nm_bus.settings import SupernodeSettings, Timing
from nm_bus.storage.ledger import NEWCOMER
from nm_bus.topology import (
    EVENTS_QUEUE,
    HEARTBEAT,
    OUT,
    REPORTS,
    LinkKind,
    peer_queue,
    request_queue,
)
from nm_bus.transport.base import Consume, Delivery, Flow, Outgoing, Status, Transport

_LOG = logging.getLogger(__name__)

TICK: Seconds = 0.5
LOOK: Seconds = 2.0
"""How often the broker is looked at over its management API."""

LISTED_AFTER: Seconds = 6.0
"""The broker lists a connection only some seconds after it was opened."""

PREFETCH = 200

T = TypeVar("T")


@dataclass(slots=True)
class SupernodeService:
    """One supernode of one project; every part is given by the composition."""

    settings: SupernodeSettings
    timing: Timing
    incarnation: str
    agent: str
    transport: Transport
    view: View
    hearing: Hearing
    ears: Pipe
    alerts: Alerts
    outbox: Outbox
    peers: Peers
    requests: Requests
    quarantine: Quarantine
    connections: Connections
    audits: dict[Link, LinkAudit]
    children: Children
    worker: Worker
    watch: BrokerWatch | None
    keep_view: Callable[[], None]
    in_hand: InHand | None = None
    ledger: LedgerDriver | None = None
    sessions: Sessions | None = None
    _spoken: int = 0
    _started: Seconds = 0.0
    _broker: BrokerState = field(default_factory=lambda: BrokerState("starting"))
    _links: dict[Link, LinkState] = field(default_factory=dict)
    _looking: bool = False
    _answering: bool = False
    _refusals: int = 0
    _last_refusal: Seconds | None = None
    _connected: bool = False
    _served: bool = False
    """Whether the broker has served us and its queues are in order: then ingest may start."""
    _next_roster: Seconds = 0.0

    def start(self) -> None:
        """Declare, listen, and begin to tick; the ingest processes start when the broker serves."""
        self._started = self.transport.now()
        self._refusals = self.view.refused(self.settings.node)
        self.transport.declare(topology_of(self.settings))
        self.transport.declare(log_of(self.settings))
        self.transport.on_status(self._status)
        self._consume(REPORTS, self.peers.own)
        self._consume(EVENTS_QUEUE, self._event)
        if self.watch is None:
            self._take_requests()
        for peer in self.settings.peers:
            self.view.expect(peer.node, self._started)
            for kind in LinkKind:
                self._listen(peer.node, kind)
        self.view.expect(self.settings.node, self._started)
        self._tick()
        self._speak()
        self._listen_to_itself()
        self._send_canaries()
        self._look()
        if self.ledger is not None:
            self.ledger.start()

    def stop(self) -> None:
        """End the ingest processes, keep what is known, and end."""
        self.children.stop()
        self.keep_view()
        self.transport.stop()

    def _listen(self, peer: NodeId, kind: LinkKind) -> None:
        self.hearing.expect([(peer, kind)])
        handler = partial(self.peers.take, peer, kind)
        self._consume(peer_queue(peer, kind), handler)

    def _consume(self, queue: str, handler: Consume) -> None:
        """Read a queue, with what is in hand marked on disk, where there is one."""
        marked = handler if self.in_hand is None else self.in_hand.over(handler, self._refuse)
        self.transport.consume(queue, marked, prefetch=PREFETCH)

    def _refuse(self, delivery: Delivery, rejected: Rejected) -> None:
        self.quarantine.put(delivery, rejected, partial(settle, self.transport, delivery))

    # --- what comes in

    def _request(self, role: str, delivery: Delivery) -> None:
        # before anything is read: copies would cost as often as they came
        event = refused_headers(delivery.headers) or decode(delivery.body)
        if isinstance(event, Event):
            event = vouched(event, delivery.user_id) or event
        if isinstance(event, Rejected):
            self.requests.rejected(delivery, event)
            self._refuse(delivery, event)
            return
        self.requests.take(role, delivery, event)
        self.transport.ack(delivery)

    def _event(self, delivery: Delivery) -> None:
        headers = delivery.headers or {}
        name = str(headers.get("name", ""))
        if delivery.key == "connection.created":
            self._hint(self.connections.opened(name, str(headers.get("user", ""))))
        elif delivery.key == "connection.closed":
            self._hint(self.connections.closed(name))
        self.transport.ack(delivery)

    def _hint(self, hint: Connection | None) -> None:
        if hint is not None and self.view.home(hint.node) == self.settings.node:
            key = domain_key(hint.node)
            self.transport.publish(Outgoing(HEARTBEAT, key, self._encoded(hint)))

    def _status(self, status: Status) -> None:
        if status.flow is Flow.UP:
            self._retire()
            self.outbox.again()
        connected = status.flow in (Flow.UP, Flow.BLOCKED)
        if connected and not self._connected:
            self.transport.later(LISTED_AFTER, self._list_connections)
            self._call(BrokerWatch.apply_links, lambda _: None)
        elif not connected:
            self.connections.forgotten()
            if self.in_hand is not None:
                self.in_hand.lost()
        self._connected = connected
        state = "up" if status.flow is Flow.UP else str(status.flow)
        self._broker = msgspec.structs.replace(self._broker, state=state, reason=status.reason)

    def _retire(self) -> None:
        """Take away queues that nobody will read, before any process finds out what is its own."""
        if self.watch is None:
            self._served = True
        elif not self._served:
            self._call(BrokerWatch.retire, self._retired, self._not_retired)

    def _retired(self, _: None) -> None:
        self._served = True

    def _not_retired(self, error: NmBusError) -> None:
        _LOG.warning("ingest cannot start yet: old queues were not deleted: %s", error)
        self.transport.later(LOOK, self._retire)

    def _list_connections(self) -> None:
        self._call(BrokerWatch.connections, self.connections.listed)

    # --- what time brings

    def _tick(self) -> None:
        now = self.transport.now()
        self._settle()
        if self._served:
            self.children.watch(now)
        own = self.quarantine.count + self.quarantine.dropped
        refusals = self.view.refused(self.settings.node) + own
        if refusals > self._refusals:
            self._last_refusal = now
        self._refusals = refusals
        wrong = conditions(
            self.view,
            self._broker,
            self.hearing.states(now),
            last_refusal=self._last_refusal,
            hearing_since=None if self.ears.doubt(now) else self.ears.proven_since,
            now=now,
        )
        partitions = self.settings.limits.partitions
        complete = self.view.is_complete(self.settings.node, partitions, self._started)
        speaks = speaker(self.view, now) == self.settings.node
        orphaned = self._outsiders_of(self.alerts) if speaks else frozenset[NodeId]()
        told = [*wrong, *troubles(self.ledger)]
        self.raised(self.alerts.tick(told, now, complete=complete, orphaned=orphaned))
        if now >= self._next_roster:
            self._next_roster = now + self.timing.roster
            self.outbox.again()
            self.outbox.repeat(
                [a for a in self.alerts.active.values() if a.origin == self.settings.node]
            )
            self.keep_view()
        self.transport.later(TICK, self._tick)

    def _inside(self) -> frozenset[NodeId]:
        """The project's supernodes: by the ledger, where it is known, else by the settings."""
        ledger, me = self.ledger, self.settings.node
        if ledger is None or ledger.state.epoch == NEWCOMER:
            return frozenset({me, *(peer.node for peer in self.settings.peers)})
        members = ledger.state.voters | ledger.state.standbys
        return frozenset({me, *map(node_of, members)})

    def _settle(self) -> None:
        """Forget who was a supernode of the project and is none any more."""
        configured = {self.settings.node, *(peer.node for peer in self.settings.peers)}
        self.view.settle(self._inside(), configured)

    def _outsiders_of(self, alerts: Alerts) -> frozenset[NodeId]:
        """Who raised alerts that are active, and will not resolve them."""
        return frozenset(each.origin for each in alerts.active.values()) - self._inside()

    def raised(self, transitions: list[Alert]) -> None:
        """Keep and publish transitions, each once."""
        for alert in transitions:
            log_alert(alert)
        if transitions:
            self.outbox.put(transitions, self.alerts.active, *map(key_of, transitions))

    def _speak(self) -> None:
        now = self.transport.now()
        self._spoken += 1
        state = Supernode(
            origin=self.settings.node,
            incarnation=self.incarnation,
            sequence=self._spoken,
            started=self._started,
            sent=now,
            agent=self.agent,
            broker=msgspec.structs.replace(self._broker, dropped=self._dropped()),
            links=tuple(self._links.values()),
            partitions=self.settings.limits.partitions,
            incoming=tuple(self.hearing.states(now)),
            sessions=() if self.sessions is None else self.sessions.vigil.tell(),
            ledger=None if self.ledger is None else self.ledger.standing(),
        )
        self.view.described(state, now)
        self.transport.publish(Outgoing(OUT, f"{LinkKind.CONTROL}.supernode", self._encoded(state)))
        self.transport.later(self.timing.statement, self._speak)

    def _dropped(self) -> int:
        """How many refused messages are nowhere, by this process and those of ingest."""
        return self.quarantine.dropped + self.view.dropped(self.settings.node)

    def _listen_to_itself(self) -> None:
        """A canary through its own broker: who does not hear itself cannot call others silent."""
        self._spoken += 1
        canary = Canary(REPORTS, self.incarnation, self._spoken, self.transport.now())
        expires = self.ears.limit
        self.transport.publish(Outgoing("", REPORTS, self._encoded(canary), expiration=expires))
        self.transport.later(self.timing.canary, self._listen_to_itself)

    def _send_canaries(self) -> None:
        for kind in LinkKind:
            self._spoken += 1
            canary = Canary(kind, self.incarnation, self._spoken, self.transport.now())
            body = self._encoded(canary)
            expires = 4 * self.timing.link_canary
            self.transport.publish(Outgoing(OUT, f"{kind}.canary", body, expiration=expires))
        self.transport.later(self.timing.link_canary, self._send_canaries)

    # --- the broker and the links from here

    def _look(self) -> None:
        if not self._looking:
            self._looking = True
            self._call(BrokerWatch.look, self._looked, self._not_seen)
        self.transport.later(LOOK, self._look)

    def _take_requests(self) -> None:
        """Begin to answer: once it is known to which of the broker's nodes an answer may go, or
        that this cannot be known."""
        if not self._answering:
            self._answering = True
            for role in ASKERS:
                self._consume(request_queue(role), partial(self._request, role))

    def _looked(self, look: Look) -> None:
        self._looking = False
        self.requests.tails_seen(look.tails)
        self.requests.reply_nodes = look.reply_nodes
        self._take_requests()
        if self.transport.status.flow is Flow.UP:
            # the API tells of an alarm for seconds after its end; our own connection knows better
            self._broker = msgspec.structs.replace(look.broker, state="up", reason="")
        now = self.transport.now()
        for link, seen in look.links.items():
            self._judge(link, replace(seen, heard=self._heard_there(link, now)), now)

    def _not_seen(self, error: NmBusError) -> None:
        self._looking = False
        self._take_requests()
        _LOG.debug("the broker cannot be looked at: %s", error)

    def _judge(self, link: Link, seen: LinkSeen, now: Seconds) -> None:
        verdict, mends = self.audits[link].observe(seen, now)
        before = self._links.get(link)
        self._links[link] = link_state(self.settings.node, link, seen, verdict)
        if before is None or before.state != verdict.health:
            log_link(self._links[link])
        for mend in mends:
            _LOG.warning("link to %s, %s: restarted: %s", *link, mend.reason)
            self._call(lambda watch: watch.restart(link), lambda _: None)

    def _heard_there(self, link: Link, now: Seconds) -> Seconds | None:
        """When the peer last heard a canary of a link, by this supernode's clock."""
        peer, kind = link
        known = self.view.supernodes.get(peer)
        if known is None or known.state is None or known.heard is None:
            return None
        ages = (
            each.heard
            for each in known.state.incoming
            if each.source == self.settings.node and each.kind == kind and each.heard is not None
        )
        age = next(ages, None)
        return None if age is None else known.heard - age

    def _call(
        self,
        job: Callable[[BrokerWatch], T],
        done: Callable[[T], None],
        failed: Callable[[NmBusError], None] = lambda _: None,
    ) -> None:
        if self.watch is None:
            return
        self.worker.call(partial(job, self.watch), partial(_either, done, failed))

    def _encoded(self, message: Message) -> bytes:
        self._spoken += 1
        identity = f"{self.incarnation}.{self._spoken}"
        now = self.transport.now()
        return encode(message, source=self.settings.node, id=identity, time=now)


def _either(
    done: Callable[[T], None], failed: Callable[[NmBusError], None], result: T | NmBusError
) -> None:
    if isinstance(result, NmBusError):
        failed(result)
    else:
        done(result)

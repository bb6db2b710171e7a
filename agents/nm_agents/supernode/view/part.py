"""The view at work: statements of all supernodes and of this one's own processes go in, queries
about the federation are answered from it, and it is kept over a restart."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from nm_agents.host.inbound import Routes
from nm_agents.host.sender import Sender
from nm_agents.supernode.alerts.part import AlertsPart
from nm_agents.supernode.asker import Asker
from nm_agents.supernode.ledger.part import LedgerPart
from nm_agents.supernode.part import Part, Queried
from nm_bus import __version__
from nm_bus.boundary import attempt
from nm_bus.codes import UNKNOWN_NODE
from nm_bus.core.alerts.reports import ViewReports
from nm_bus.core.overview import overview
from nm_bus.core.pages import first_page
from nm_bus.core.pipe import Pipe
from nm_bus.core.view import Stream, View, unknown
from nm_bus.core.windows import Windows, kinds
from nm_bus.messages import (
    Alert,
    BrokerState,
    Canary,
    Event,
    NodeDetail,
    NodeId,
    Query,
    Rollups,
    Seconds,
    Statement,
    Supernode,
)
from nm_bus.settings import SupernodeSettings, timing
from nm_bus.storage.base import Store
from nm_bus.topology import OUT, PEER_BYTES, REPORTS, LinkKind
from nm_bus.transport.base import Delivery, Transport

# --- A supernode's view over a restart: what the others said last, shown as old until they speak.

KIND = "stream"

_LOG = logging.getLogger(__name__)

_decoder = msgspec.msgpack.Decoder(Stream)


@dataclass(slots=True)
class ViewStore:
    """Stores a view's streams, one row each."""

    store: Store
    view: View
    _stored: set[str] = field(default_factory=set)

    def save(self) -> None:
        """Store every stream as it is now."""
        rows = {
            f"{origin}/{partition}": msgspec.msgpack.encode(stream)
            for (origin, partition), stream in self.view.streams.items()
        }
        with self.store.transaction():
            self.store.put_many(KIND, rows)
            self.store.delete(KIND, self._stored - rows.keys())
        self._stored = set(rows)

    def load(self) -> None:
        """Take up what was stored. A row of another layout is left out, and reported again."""
        unread = 0
        for key, body in self.store.load(KIND):
            self._stored.add(key)
            origin, _, partition = key.rpartition("/")
            stream = attempt(partial(_decoder.decode, body))
            if isinstance(stream, Stream) and partition.isdecimal():
                self.view.restore((origin, int(partition)), stream)
            else:
                unread += 1
        if unread:
            what = "the supernode's store: %d rows of kind %r cannot be read, and are left out"
            _LOG.warning(what, unread, KIND)


DETAIL_BYTES = PEER_BYTES // 2
"""How large the series of one answer may be, beside the member's state; it counts the others."""


@dataclass(slots=True)
class ViewPart(Part):
    """The view of one supernode; `loopback` tells whether it can hear others at all."""

    settings: SupernodeSettings
    transport: Transport
    store: ViewStore
    loopback: Pipe
    ledger: LedgerPart
    alerts: AlertsPart
    windows: Windows = field(default_factory=Windows)
    _reports: ViewReports = field(init=False)
    _started: Seconds = 0.0

    def __post_init__(self) -> None:
        self._reports = ViewReports(self.view, self.alerts.alerts)

    @property
    def view(self) -> View:
        """What is known."""
        return self.store.view

    def from_peers(self) -> Routes:
        """What the others know of their members, and say of themselves."""
        return {**self.from_own(), Supernode: self._described}

    def from_own(self) -> Routes:
        """What the ingest processes know."""
        return {Statement: self._stated, Rollups: self._measured}

    def queries(self) -> dict[str, Queried]:
        """The federation in pages, one node whole."""
        return {"status": self._status, "node": self._node}

    def start(self) -> None:
        """Expect everybody, and keep the view now and then."""
        self._started = now = self.transport.now()
        for node in self._configured():
            self.view.expect(node, now)
        self.transport.later(timing(self.settings).roster, self._keep)

    def close(self) -> None:
        """Keep what is known."""
        self.store.save()

    def transitions(self, now: Seconds) -> Iterator[Alert]:
        """Of members, when they change, and of supernodes, as far as this one is responsible."""
        # leave out who is no supernode of the project any more.
        self.view.settle(self.ledger.supernodes(), self._configured())
        partitions = self.settings.limits.partitions
        complete = self.view.is_complete(self.view.origin, partitions, self._started)
        return self._reports.tick(now, complete=complete, deaf=self.is_deaf(now))

    def is_deaf(self, now: Seconds) -> bool:
        """Whether this supernode's own broker has served it too short a time to call others
        silent."""
        since = None if self.loopback.doubt(now) else self.loopback.proven_since
        return since is None or now - since <= self.view.limit

    def _configured(self) -> frozenset[NodeId]:
        return frozenset({self.settings.node, *(peer.node for peer in self.settings.peers)})

    def _keep(self) -> None:
        self.store.save()
        self.transport.later(timing(self.settings).roster, self._keep)

    def _stated(self, event: Event[Statement], _delivery: Delivery, now: Seconds) -> None:
        self.view.stated(event.data, now)

    def _described(self, event: Event[Supernode], _delivery: Delivery, now: Seconds) -> None:
        self.view.described(event.data, now)
        self.ledger.described(event.data)

    def _measured(self, event: Event[Rollups], _delivery: Delivery, now: Seconds) -> None:
        rollups = event.data
        for node, series in rollups.nodes.items():
            lookup = kinds({each.name: each for each in self.view.declared(node)})
            one = msgspec.structs.replace(rollups, nodes={node: series})
            self.windows.absorb(one, now, lookup)

    def _status(self, query: Query, asker: Asker, now: Seconds) -> None:
        alerts, ledger = self.alerts.active(), self.ledger.state
        asker.reply(overview(self.view, alerts, query.page, now, ledger))

    def _node(self, query: Query, asker: Asker, now: Seconds) -> None:
        member = self.view.member(query.node, now)
        if member is None:
            asker.refuse(UNKNOWN_NODE, unknown(query.node))
            return
        series = self.windows.node(query.node, now)
        shown, _ = first_page(series.items(), len(series), DETAIL_BYTES)
        asker.reply(NodeDetail(member, dict(shown), len(series) - len(shown)))


# --- What a supernode says of itself to the others, gathered from its parts.


@dataclass(slots=True)
class StatementPart(Part):
    """Speaks every few seconds; each part adds what it knows."""

    settings: SupernodeSettings
    transport: Transport
    sender: Sender
    view: View
    parts: Sequence[Part]
    _started: Seconds = 0.0
    _sequence: int = 0

    def start(self) -> None:
        """Speak, now and then."""
        self._started = self.transport.now()
        self._speak()

    def _speak(self) -> None:
        now = self.transport.now()
        self._sequence += 1
        state = Supernode(
            origin=self.sender.source,
            incarnation=self.sender.life,
            sequence=self._sequence,
            started=self._started,
            sent=now,
            agent=f"nm-bus/{__version__}",
            broker=BrokerState("starting"),
            partitions=self.settings.limits.partitions,
        )
        for part in self.parts:
            state = part.describe(state, now)
        self.view.described(state, now)
        self.sender.publish(OUT, f"{LinkKind.CONTROL}.supernode", state)
        self.transport.later(timing(self.settings).statement, self._speak)


# --- A canary through the supernode's own broker: who does not hear itself calls nobody silent.


@dataclass(slots=True)
class LoopbackPart(Part):
    """Sends a canary every `interval` seconds; `pipe` knows when they come back."""

    transport: Transport
    sender: Sender
    pipe: Pipe
    interval: Seconds
    _sent: int = 0

    def from_own(self) -> Routes:
        """Its canaries."""
        return {Canary: self._returned}

    def start(self) -> None:
        """Send one, now and then."""
        self._send()

    def _send(self) -> None:
        self._sent += 1
        canary = Canary(REPORTS, self.sender.life, self._sent, self.transport.now())
        self.sender.publish("", REPORTS, canary, expiration=self.pipe.limit)
        self.transport.later(self.interval, self._send)

    def _returned(self, event: Event[Canary], _delivery: Delivery, now: Seconds) -> None:
        if event.data.incarnation == self.sender.life:
            self.pipe.heard(event.data.sent, now)

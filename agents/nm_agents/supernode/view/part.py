"""The view at work: statements of all supernodes and of this one's own processes go in, queries
about the federation are answered from it, and it is kept over a restart."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from nm_agents.host.inbound import Routes
from nm_agents.supernode.alerts.part import AlertsPart
from nm_agents.supernode.asker import Asker
from nm_agents.supernode.ledger.part import LedgerPart
from nm_agents.supernode.part import Part, Queried
from nm_agents.supernode.view.store import ViewStore
from nm_bus.codes import UNKNOWN_NODE
from nm_bus.core.alerts.reports import ViewReports
from nm_bus.core.kinds import kinds
from nm_bus.core.overview import overview
from nm_bus.core.pages import first_page
from nm_bus.core.pipe import Pipe
from nm_bus.core.view import View, unknown
from nm_bus.core.windows import Windows
from nm_bus.messages import (
    Alert,
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
from nm_bus.topology import PEER_BYTES
from nm_bus.transport.base import Delivery, Transport

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
        self._settle()
        partitions = self.settings.limits.partitions
        complete = self.view.is_complete(self.view.origin, partitions, self._started)
        return self._reports.tick(now, complete=complete, deaf=self.is_deaf(now))

    def is_deaf(self, now: Seconds) -> bool:
        """Whether this supernode's own broker has served it too short a time to call others
        silent."""
        since = None if self.loopback.doubt(now) else self.loopback.proven_since
        return since is None or now - since <= self.view.limit

    def _settle(self) -> None:
        """Leave out who is no supernode of the project any more."""
        self.view.settle(self.ledger.supernodes(), self._configured())

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
        asker.reply(overview(self.view, self.alerts.active(), query.page, now))

    def _node(self, query: Query, asker: Asker, now: Seconds) -> None:
        member = self.view.member(query.node, now)
        if member is None:
            asker.refuse(UNKNOWN_NODE, unknown(query.node))
            return
        series = self.windows.node(query.node, now)
        shown, _ = first_page(series.items(), len(series), DETAIL_BYTES)
        asker.reply(NodeDetail(member, dict(shown), len(series) - len(shown)))

"""The links at work: canaries into each and out of each, and the audit of those that start here."""

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgspec

from nm_agents.host.inbound import Routes
from nm_agents.host.sender import Sender
from nm_agents.supernode.broker.calls import BrokerCalls, nothing
from nm_agents.supernode.broker.watch import BrokerWatch, Look
from nm_agents.supernode.part import Part
from nm_agents.supernode.view.part import ViewPart
from nm_broker.links import Link, link_state, links_of
from nm_bus.core.alerts.conditions import Condition, link_trouble
from nm_bus.core.hearing import Hearing, LinkEnd
from nm_bus.core.links import LinkAudit, LinkSeen, limits_for
from nm_bus.messages import Canary, Event, LinkState, Seconds, Supernode
from nm_bus.settings import SupernodeSettings, timing
from nm_bus.topology import OUT, LinkKind, peer_queue
from nm_bus.transport.base import Delivery, Transport

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class LinksPart(Part):
    """The links of one supernode with its peers."""

    settings: SupernodeSettings
    transport: Transport
    sender: Sender
    known: ViewPart
    calls: BrokerCalls
    hearing: Hearing = field(init=False)
    _audits: dict[Link, LinkAudit] = field(init=False)
    _ends: dict[str, LinkEnd] = field(init=False)
    _states: dict[Link, LinkState] = field(default_factory=dict)
    _sent: int = 0

    def __post_init__(self) -> None:
        limits, links = timing(self.settings), list(links_of(self.settings.peers))
        self._audits = {link: LinkAudit(limits_for(limits), random.random) for link in links}
        self._ends = {peer_queue(*link): link for link in links}
        self.hearing = Hearing(self.settings.node, limits.link_limit)
        self.hearing.expect(self._ends.values())

    def from_peers(self) -> Routes:
        """Canaries."""
        return {Canary: self._heard}

    def start(self) -> None:
        """Send a canary into each link, now and then."""
        self._send()

    def connected(self) -> None:
        """Make the shovels what the settings say."""
        self.calls.call(BrokerWatch.apply_links, nothing)

    def conditions(self, now: Seconds) -> Iterator[Condition]:
        """Links that end here and bring nothing."""
        view, deaf = self.known.view, self.known.is_deaf(now)
        for link in self.hearing.states(now):
            if link.source not in view.outsiders:
                yield link_trouble(view, link, now, deaf=deaf)

    def describe(self, state: Supernode, now: Seconds) -> Supernode:
        """The links from here as they are seen, those to here as they are heard."""
        links, incoming = tuple(self._states.values()), tuple(self.hearing.states(now))
        return msgspec.structs.replace(state, links=links, incoming=incoming)

    def looked(self, look: Look) -> None:
        """The broker was looked at: judge each link from here."""
        now = self.transport.now()
        for link, seen in look.links.items():
            self._judge(link, replace(seen, heard=self._heard_there(link, now)), now)

    def _send(self) -> None:
        interval = timing(self.settings).link_canary
        for kind in LinkKind:
            self._sent += 1
            canary = Canary(kind, self.sender.life, self._sent, self.transport.now())
            self.sender.publish(OUT, f"{kind}.canary", canary, expiration=4 * interval)
        self.transport.later(interval, self._send)

    def _heard(self, event: Event[Canary], delivery: Delivery, now: Seconds) -> None:
        self.hearing.canary(self._ends[delivery.queue], event.data, now)

    def _judge(self, link: Link, seen: LinkSeen, now: Seconds) -> None:
        verdict, repairs = self._audits[link].observe(seen, now)
        before = self._states.get(link)
        self._states[link] = state = link_state(self.sender.source, link, seen, verdict)
        if before is None or before.state != verdict.health:
            log_link(state)
        for repair in repairs:
            _LOG.warning("link to %s, %s: restarted: %s", *link, repair.reason)
            self.calls.call(lambda watch: watch.restart(link), nothing)

    def _heard_there(self, link: Link, now: Seconds) -> Seconds | None:
        """When the peer last heard a canary of a link, by this supernode's clock."""
        peer, kind = link
        known = self.known.view.supernodes.get(peer)
        if known is None or known.state is None or known.heard is None:
            return None
        ages = (
            each.heard
            for each in known.state.incoming
            if each.source == self.sender.source and each.kind == kind and each.heard is not None
        )
        age = next(ages, None)
        return None if age is None else known.heard - age


def log_link(link: LinkState) -> None:
    """What became of a link, and why if there is a reason."""
    why = f": {link.reason}" if link.reason else ""
    _LOG.info("link to %s, %s: %s%s", link.destination, link.kind, link.state, why)

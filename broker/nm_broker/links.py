"""The links to other supernodes: two shovels each, made and looked at over the management API.

What a link is stands in pure functions; whether it moves is judged in `nm_bus.core.links`. A shovel
reads as a user who can only read `out.*`, without password or listener, and speaks at its peer as
a user who can only write to one exchange: nothing that crosses can be refused, so nothing wedges.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from nm_broker.answers import QueueAnswer, Shovel
from nm_broker.management import Json, ManagementApi
from nm_bus.core.links import LinkSeen, LinkVerdict, ShovelState
from nm_bus.errors import ConfigError
from nm_bus.grants import SHOVEL_USER, link_user
from nm_bus.messages import LinkState, NodeId, Seconds
from nm_bus.settings import Peer, SupernodeSettings, Timing, Tls, connects_to, in_url, timing
from nm_bus.topology import LinkKind, out_queue, peer_exchange, vhost

PREFETCH = {LinkKind.CONTROL: 100, LinkKind.BULK: 200}
"""Messages on their way at once. A link moves at most this many a round trip, and both brokers
may hold that many of the largest messages in memory."""

RECONNECT_DELAY = 1
"""Seconds a shovel rests after a failure; the attempt itself waits for the network's timeout."""

REASON_LENGTH = 200

Link = tuple[NodeId, LinkKind]
"""A link as its source names it: the peer and the kind."""


def shovel_name(peer: NodeId, kind: LinkKind) -> str:
    """The name of the shovel to a peer."""
    return f"to.{peer}.{kind}"


def shovel(settings: SupernodeSettings, peer: Peer, kind: LinkKind) -> Json:
    """The parameter of one shovel.

    No destination key is given, so every message keeps its own. `user_id` is overwritten: the
    peer's broker checks it against the link's login and would refuse any other for ever.
    """
    return {
        "src-protocol": "amqp091",
        "src-uri": f"amqp://{SHOVEL_USER}@/{quote(vhost(settings.project), safe='')}",
        "src-queue": out_queue(peer.node, kind),
        "src-prefetch-count": PREFETCH[kind],
        "dest-protocol": "amqp091",
        "dest-uri": _destination(settings, peer),
        "dest-exchange": peer_exchange(settings.node),
        "dest-publish-properties": {"user_id": link_user(settings.node)},
        "ack-mode": "on-confirm",
        "reconnect-delay": RECONNECT_DELAY,
    }


def _destination(settings: SupernodeSettings, peer: Peer) -> str:
    if settings.link_tls is None:
        raise ConfigError(
            "link_tls", "is missing, and links need it", "give the link's certificate"
        )
    address, port = connects_to(peer.broker)
    options = _options(settings.link_tls, peer.broker.host, timing(settings))
    return f"amqps://{in_url(address)}:{port}/{quote(vhost(settings.project), safe='')}?{options}"


def _options(tls: Tls, host: str, limits: Timing) -> str:
    return urlencode(
        {
            "cacertfile": tls.ca,
            "certfile": tls.certificate,
            "keyfile": tls.key,
            "verify": "verify_peer",
            "server_name_indication": host,
            "auth_mechanism": "external",
            "heartbeat": limits.amqp_heartbeat,
            "connection_timeout": round(limits.connect * 1000),
        },
        quote_via=quote,
    )


def links_of(peers: Iterable[Peer]) -> list[Link]:
    """The links that a supernode with these peers has."""
    return [(peer.node, kind) for peer in peers for kind in LinkKind]


def looks(
    links: Iterable[Link],
    shovels: Mapping[str, Shovel],
    queues: Mapping[str, QueueAnswer],
    heard: Mapping[Link, Seconds] | None = None,
) -> dict[Link, LinkSeen]:
    """One look at each link, from what the broker states of its shovels and queues, by name.

    `heard` says when each link's peer last heard a canary of it.
    """
    return {
        link: _look(
            shovels.get(shovel_name(*link), Shovel("")),
            queues.get(out_queue(*link), QueueAnswer("")),
            (heard or {}).get(link),
        )
        for link in links
    }


def _look(shovel: Shovel, queue: QueueAnswer, heard: Seconds | None) -> LinkSeen:
    return LinkSeen(
        state=_state(shovel.state),
        reason=" ".join((shovel.reason or "").split())[:REASON_LENGTH],
        ready=queue.messages_ready or 0,
        unacked=queue.messages_unacknowledged or 0,
        acked=queue.acked,
        heard=heard,
    )


def _state(said: str | None) -> ShovelState:
    """A state that is not known here is one of a shovel that works, such as `flow`."""
    if said is None:
        return ShovelState.MISSING
    return ShovelState(said) if said in list(ShovelState) else ShovelState.RUNNING


def link_state(
    source: NodeId, link: Link, seen: LinkSeen, verdict: LinkVerdict, delay: Seconds | None = None
) -> LinkState:
    """What a supernode says of one of its links."""
    destination, kind = link
    return LinkState(
        source=source,
        destination=destination,
        kind=kind,
        state=verdict.health,
        reason=verdict.reason,
        delay=delay,
        backlog=seen.ready + seen.unacked,
        moved=seen.acked,
    )


@dataclass(frozen=True, slots=True)
class Links:
    """The shovels of one supernode, on its own broker. Every call may be repeated."""

    api: ManagementApi
    settings: SupernodeSettings

    def apply(self) -> None:
        """Make the shovels what the settings say; one that is right already is not disturbed."""
        wanted = {
            shovel_name(peer.node, kind): shovel(self.settings, peer, kind)
            for peer in self.settings.peers
            for kind in LinkKind
        }
        there = self.api.shovel_settings(self._vhost)
        for name in there.keys() - wanted.keys():
            self.api.delete_shovel(self._vhost, name)
        for name, value in wanted.items():
            if there.get(name) != value:
                self.api.put_shovel(self._vhost, name, value)

    def remove(self, peer: NodeId) -> None:
        """End the links to a peer for good. What waits for it stays in the queues."""
        for kind in LinkKind:
            self.api.delete_shovel(self._vhost, shovel_name(peer, kind))

    def restart(self, link: Link) -> None:
        """Make one shovel again: the broker's own restart leaves a wedged one wedged."""
        name = shovel_name(*link)
        peers = {peer.node: peer for peer in self.settings.peers}
        value = shovel(self.settings, peers[link[0]], link[1])
        self.api.delete_shovel(self._vhost, name)
        self.api.put_shovel(self._vhost, name, value)

    def look(self, queues: Mapping[str, QueueAnswer] | None = None) -> dict[Link, LinkSeen]:
        """See how each link stands now; depths and counts may be five seconds old.

        `queues` are the broker's statements of its queues, where they were just read.
        """
        known = self.api.queues(self._vhost) if queues is None else queues
        return looks(links_of(self.settings.peers), self.api.shovels(self._vhost), known)

    @property
    def _vhost(self) -> str:
        return vhost(self.settings.project)

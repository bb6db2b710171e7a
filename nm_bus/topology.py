"""Exchanges, queues and keys of one project's broker, as data that cannot act.

Every name is computed here and nowhere else; a transport or the management API declares what this
describes. Each broker of a project has the same topology but for its own name and its peers. Who
may write and read what is told in `nm_bus.grants`.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nm_bus.identity.role import ASKERS
from nm_bus.messages import Change, DomainKey, Message, NodeId, Severity, Tail, domain_key

Arguments = dict[str, Any]

HEARTBEAT, METRICS, REQUESTS, UPDATES, ALERTS, DEAD = (
    "heartbeat",
    "metrics",
    "requests",
    "updates",
    "alerts",
    "dead",
)
UPDATES_LOG = "updates.log"
"""The stream that keeps a copy of the updates: for audit, and for readers in any language."""

THROWN = "thrown"
"""The stem of the queues that tell what a bound threw away."""

REPORTS = "reports"
"""Where a supernode's ingest processes hand over what they say of their members."""

OUT = "out"
"""Where a supernode speaks to all its peers: keys `control.<kind>` and `bulk.<kind>`."""

EVENTS = "amq.rabbitmq.event"
"""The broker's own events: connections that come and go."""

EVENTS_QUEUE = "events"
"""Where a supernode reads of them."""

PRINCIPAL_BYTES = 256 * 1024
"""The largest message a principal may publish."""

PEER_BYTES = 4 * 1024 * 1024
"""The largest message between supernodes; the brokers' max_message_size."""

DELIVERY_LIMIT = 1_000_000
"""No limit, said so that every RabbitMQ from 3.10 to 4.x understands it the same way."""


class LinkKind(StrEnum):
    """The two shovels of a link: small and urgent, or large and patient."""

    CONTROL = "control"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange. `type` is `topic`, `fanout` or `x-consistent-hash`."""

    name: str
    type: str = "topic"


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue. `type` is `classic`, `quorum` or `stream`; `arguments` hold its limits."""

    name: str
    type: str = "classic"
    arguments: Arguments = field(default_factory=dict)

    def declared_arguments(self) -> Arguments:
        """All arguments of the declaration; classic queues are version 2 (cheap, no index)."""
        version = {"x-queue-version": 2} if self.type == "classic" else {}
        return {"x-queue-type": self.type, **version, **self.arguments}


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding from an exchange to a queue, or to another exchange when `to_exchange`."""

    source: str
    destination: str
    key: str = "#"
    to_exchange: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """What to declare, in this order. The order of bindings to a hash exchange matters."""

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()

    @property
    def identity(self) -> Hashable:
        """What makes two topologies the same one: names and bindings, not the queues' limits."""
        return self.exchanges, tuple(queue.name for queue in self.queues), self.bindings

    def __add__(self, other: "Topology") -> "Topology":
        return Topology(
            self.exchanges + other.exchanges,
            self.queues + other.queues,
            self.bindings + other.bindings,
        )


@dataclass(frozen=True, slots=True)
class Sizes:
    """The limits of a project's queues. Counts are messages, times seconds.

    `members` is how many members a supernode must hold: queues of heartbeats take three times it.
    Alert queues are kept through a long leave, but not for ever for who has gone.
    """

    partitions: int = 1
    members: int = 2_000
    heartbeat_ttl: float = 30.0
    metrics_length: int = 100_000
    out_length: int = 100_000
    out_bytes: int = 256 * 1024 * 1024
    inbox_length: int = 1_000
    inbox_expires: float = 7 * 86_400.0
    alerts_length: int = 10_000
    alerts_expires: float = 90 * 86_400.0
    dead_length: int = 10_000
    requests_length: int = 10_000
    updates_log_bytes: int = 1024 * 1024 * 1024
    updates_segment_bytes: int = 64 * 1024 * 1024
    tail_length: int = 1_000
    tail_expires: float = 60.0


def vhost(project: str) -> str:
    """The vhost of a project, the same on each of its brokers."""
    return f"nm.{project}"


def heartbeat_queue(partition: int) -> str:
    """The queue of heartbeats of one ingest process."""
    return f"{HEARTBEAT}.{partition}"


def metrics_queue(partition: int) -> str:
    """The queue of metrics of one ingest process."""
    return f"{METRICS}.{partition}"


def thrown_queue(partition: int) -> str:
    """Heartbeats that a bound threw away: evidence of a sick pipe, never of a silent member."""
    return f"{THROWN}.{partition}"


def thrown_key(queue: str) -> str:
    """The routing key under which a queue's thrown-away messages reach the exchange `dead`."""
    return f"thrown.{queue}"


def refused_key(reason: str, who: NodeId) -> str:
    """The routing key of a quarantined message: `refused.<reason>.<domain key>`."""
    return f"refused.{reason}.{domain_key(who)}" if who else f"refused.{reason}"


def hash_exchange(stream: str) -> str:
    """The exchange that spreads a stream over the ingest processes by its routing keys."""
    return f"{stream}.hash"


def peer_exchange(origin: NodeId) -> str:
    """The exchange on which one peer's link, and nobody else, speaks."""
    return f"peer.{origin}"


def peer_queue(origin: NodeId, kind: LinkKind) -> str:
    """Where a supernode reads what one peer's link brought."""
    return f"peer.{origin}.{kind}"


def out_exchange(destination: NodeId) -> str:
    """Where a supernode speaks to one peer: keys `control.<kind>` and `bulk.<kind>`."""
    return f"out.{destination}"


def out_queue(destination: NodeId, kind: LinkKind) -> str:
    """Where what is meant for one peer waits for its link."""
    return f"out.{destination}.{kind}"


def inbox_queue(node: NodeId) -> str:
    """The queue of one member: what its supernode tells it."""
    return f"inbox.{node}"


def alerts_queue(principal: str, name: str = "") -> str:
    """The durable alert queue of one principal at one supernode.

    No principal's id holds a colon, so no queue of one can be read as another's.
    """
    return f"alerts.{principal}:{name}" if name else f"alerts.{principal}"


def tail_queue(principal: str, name: str) -> str:
    """A short-lived queue that copies live messages for one principal."""
    return f"tail.{principal}:{name}"


def request_exchange(role: str) -> str:
    """Where one role asks: who may write there has that role, by the broker's word.

    Roles share no exchange, since RabbitMQ before 4 checks no key in CC and BCC headers: copies
    reach whatever is bound to the exchange that is written to, and no other.
    """
    return f"{REQUESTS}.{role}"


def request_queue(role: str) -> str:
    """Where the requests of one role wait, so that the noise of another pushes none of them out."""
    return f"{REQUESTS}.{role}"


def request_key(message: Message) -> str:
    """The routing key of a request: its verb.

    A tail of updates alone is `tail.updates`, which may be granted to who may watch nothing else.
    """
    verb = type(message).__name__.lower()
    is_of_updates = isinstance(message, Tail) and message.exchange == UPDATES
    return f"{verb}.{UPDATES}" if is_of_updates else verb


OF_A_NODE = frozenset({"member", "supernode"})
"""The keys of the ledger whose second word is a node id."""

KEY_BYTES = 255
"""The longest routing key that AMQP knows."""


def update_key(change: Change) -> str:
    """The routing key of an update: `config.<component>.<name>`, `member.<kind>.<domain key>`.

    A longer one than AMQP allows is cut; the update itself has the whole key.
    """
    first, *words = change.key.split("/")
    if first in OF_A_NODE and words:
        words = [change.kind, domain_key("/".join(words))]
    return ".".join([first, *words])[:KEY_BYTES]


def alert_key(severity: str, kind: str, subject: NodeId) -> str:
    """The routing key of an alert: `<severity>.<kind>.<domain key>`."""
    return f"{severity}.{kind}.{domain_key(subject)}"


def alert_bindings(severities: tuple[Severity, ...], under: tuple[DomainKey, ...]) -> list[str]:
    """The binding keys of a subscription: every pair of a severity and a site."""
    return [
        f"{severity}.*.{site}.#" if site else f"{severity}.*.#"
        for severity in (severities or ("*",))
        for site in (under or ("",))
    ]


QUEUE_BYTES = 64 * 1024 * 1024
"""What a queue may hold when nothing else is said: a count alone would be no limit."""


def _limited(length: int, **more: Any) -> Arguments:
    limits = {"x-max-length": length, "x-max-length-bytes": QUEUE_BYTES}
    return {**limits, "x-overflow": "drop-head", **more}


def _thrown_to_dead(queue: str) -> Arguments:
    return {"x-dead-letter-exchange": DEAD, "x-dead-letter-routing-key": thrown_key(queue)}


def ingest_topology(sizes: Sizes) -> Topology:
    """Heartbeats and metrics, spread over the ingest processes in the same order."""
    queues: list[Queue] = []
    bindings: list[Binding] = []
    for n in range(sizes.partitions):
        heartbeats, metrics, thrown = heartbeat_queue(n), metrics_queue(n), thrown_queue(n)
        room = {"x-max-length-bytes": sizes.out_bytes}
        ttl = {"x-message-ttl": round(sizes.heartbeat_ttl * 1000)}
        length = max(1_000, 3 * sizes.members)
        queues += [
            Queue(heartbeats, arguments=_limited(length, **ttl, **_thrown_to_dead(heartbeats))),
            Queue(
                metrics,
                arguments=_limited(sizes.metrics_length, **room, **_thrown_to_dead(metrics)),
            ),
            Queue(thrown, arguments=_limited(1_000)),
        ]
        bindings += [
            Binding(hash_exchange(HEARTBEAT), heartbeats, "10"),
            Binding(hash_exchange(METRICS), metrics, "10"),
            Binding(DEAD, thrown, thrown_key(heartbeats)),
            Binding(DEAD, thrown, thrown_key(metrics)),
        ]
    exchanges = [
        Exchange(name, type)
        for stream in (HEARTBEAT, METRICS)
        for name, type in ((stream, "topic"), (hash_exchange(stream), "x-consistent-hash"))
    ]
    spread = [
        Binding(stream, hash_exchange(stream), to_exchange=True) for stream in (HEARTBEAT, METRICS)
    ]
    return Topology(tuple(exchanges), tuple(queues), tuple(spread + bindings))


def project_topology(sizes: Sizes) -> Topology:
    """What every broker of a project has, whoever its peers are."""
    return base_topology(sizes) + log_topology(sizes)


def base_topology(sizes: Sizes) -> Topology:
    """What a supernode cannot work without."""
    own = Topology(
        (
            *(Exchange(request_exchange(role)) for role in ASKERS),
            *(Exchange(name) for name in (UPDATES, ALERTS, DEAD, REPORTS, OUT)),
        ),
        (
            *(Queue(request_queue(r), arguments=_limited(sizes.requests_length)) for r in ASKERS),
            Queue(
                REPORTS,
                arguments=_limited(sizes.out_length, **{"x-max-length-bytes": sizes.out_bytes}),
            ),
            Queue(DEAD, arguments=_limited(sizes.dead_length)),
            Queue(EVENTS_QUEUE, arguments=_limited(sizes.requests_length)),
        ),
        (
            *(Binding(request_exchange(role), request_queue(role)) for role in ASKERS),
            Binding(REPORTS, REPORTS),
            Binding(REPORTS, OUT, to_exchange=True),
            Binding(EVENTS, EVENTS_QUEUE, "connection.*"),
            Binding(DEAD, DEAD, "refused.#"),
        ),
    )
    return own + ingest_topology(sizes)


def log_topology(sizes: Sizes) -> Topology:
    """The copy of the updates, apart from the rest: a broker that was killed may lack it for a
    while (RabbitMQ 3.10, if it was just made, for ever), and nothing else may suffer from that.

    A stream drops whole segments, the oldest first; the last one is always kept.
    """
    limits = {
        "x-max-length-bytes": sizes.updates_log_bytes,
        "x-stream-max-segment-size-bytes": sizes.updates_segment_bytes,
    }
    return Topology(
        queues=(Queue(UPDATES_LOG, "stream", limits),), bindings=(Binding(UPDATES, UPDATES_LOG),)
    )


def link_topology(peer: NodeId, sizes: Sizes) -> Topology:
    """What a broker has for one peer: a way out and a way in, each for control and for bulk.

    A queue that a shovel fills or empties drops its head when full: a refusal would make the
    shovel spin and lose the order, and what crosses a link is repeated as a whole now and then.
    """
    room = {"x-max-length-bytes": sizes.out_bytes}
    limit = {**room, "x-delivery-limit": DELIVERY_LIMIT}
    queues: list[Queue] = []
    bindings = [Binding(OUT, out_exchange(peer), to_exchange=True)]
    for kind in LinkKind:
        out, into = out_queue(peer, kind), peer_queue(peer, kind)
        queues += [
            Queue(out, "quorum", _limited(sizes.out_length, **limit)),
            Queue(into, arguments=_limited(sizes.out_length, **room)),
        ]
        bindings += [
            Binding(out_exchange(peer), out, f"{kind}.#"),
            Binding(peer_exchange(peer), into, f"{kind}.#"),
        ]
    exchanges = (Exchange(out_exchange(peer)), Exchange(peer_exchange(peer)))
    return Topology(exchanges, tuple(queues), tuple(bindings))


def inbox_topology(node: NodeId, sizes: Sizes, *, hears_updates: bool = True) -> Topology:
    """A member's queue: classic, since a queue per member must be cheap, and it expires.

    A member's hears of every update; what it drops when it is full is asked for by `sync`.
    """
    expires = {"x-expires": round(sizes.inbox_expires * 1000)}
    queue = inbox_queue(node)
    return Topology(
        queues=(Queue(queue, arguments=_limited(sizes.inbox_length, **expires)),),
        bindings=(Binding(UPDATES, queue),) if hears_updates else (),
    )


def alerts_topology(principal: str, name: str, keys: list[str], sizes: Sizes) -> Topology:
    """A principal's durable alert queue and what it hears of; it expires when nobody reads."""
    queue = alerts_queue(principal, name)
    expires = {"x-expires": round(sizes.alerts_expires * 1000)}
    return Topology(
        queues=(Queue(queue, arguments=_limited(sizes.alerts_length, **expires)),),
        bindings=tuple(Binding(ALERTS, queue, key) for key in keys),
    )


def tail_topology(principal: str, name: str, exchange: str, key: str, sizes: Sizes) -> Topology:
    """A principal's short-lived copy of live messages; it expires when nobody reads."""
    expires = {"x-expires": round(sizes.tail_expires * 1000)}
    queue = tail_queue(principal, name)
    return Topology(
        queues=(Queue(queue, arguments=_limited(sizes.tail_length, **expires)),),
        bindings=(Binding(exchange, queue, key),),
    )

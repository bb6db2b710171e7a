"""Which exchanges, queues and bindings a project's broker has, and the limits of each queue."""

from dataclasses import dataclass
from typing import Any

from nm_bus.identity.role import ASKERS
from nm_bus.messages import NodeId
from nm_bus.topology.names import (
    ALERTS,
    DEAD,
    EVENTS,
    EVENTS_QUEUE,
    HEARTBEAT,
    METRICS,
    OUT,
    REPORTS,
    UPDATES,
    UPDATES_LOG,
    LinkKind,
    alerts_queue,
    feed_bindings,
    hash_exchange,
    heartbeat_queue,
    inbox_queue,
    metrics_queue,
    out_exchange,
    out_queue,
    peer_exchange,
    peer_queue,
    request_exchange,
    request_queue,
    tail_queue,
    thrown_key,
    thrown_queue,
)
from nm_bus.topology.parts import Arguments, Binding, Exchange, Queue, Topology

PRINCIPAL_BYTES = 256 * 1024
"""The largest message a principal may publish."""

PEER_BYTES = 4 * 1024 * 1024
"""The largest message between supernodes; the brokers' max_message_size."""

DELIVERY_LIMIT = 1_000_000
"""No limit, said so that every RabbitMQ from 3.10 to 4.x understands it the same way."""


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


def inbox_topology(
    node: NodeId, sizes: Sizes, *, feeds: tuple[str, ...] = (), anew: bool = False
) -> Topology:
    """A principal's queue: classic, since a queue per member must be cheap, and it expires.

    It hears of the updates of these feeds alone; what it drops when it is full is asked for by
    `sync`. Where it may be bound otherwise it is made `anew`: a broker tells nobody but an
    administrator what is bound.
    """
    keys = dict.fromkeys(key for feed in feeds for key in feed_bindings(feed))
    expires = {"x-expires": round(sizes.inbox_expires * 1000)}
    queue = inbox_queue(node)
    return Topology(
        queues=(Queue(queue, arguments=_limited(sizes.inbox_length, **expires)),),
        bindings=tuple(Binding(UPDATES, queue, key) for key in keys),
        deleted=(queue,) if anew else (),
    )


def alerts_topology(principal: str, name: str, keys: list[str], sizes: Sizes) -> Topology:
    """A principal's durable alert queue and what it hears of; it expires when nobody reads."""
    queue = alerts_queue(principal, name)
    expires = {"x-expires": round(sizes.alerts_expires * 1000)}
    return Topology(
        queues=(Queue(queue, arguments=_limited(sizes.alerts_length, **expires)),),
        bindings=tuple(Binding(ALERTS, queue, key) for key in keys),
    )


def tail_topology(
    principal: str, name: str, exchange: str, keys: tuple[str, ...], sizes: Sizes
) -> Topology:
    """A principal's short-lived copy of live messages; it expires when nobody reads."""
    expires = {"x-expires": round(sizes.tail_expires * 1000)}
    queue = tail_queue(principal, name)
    return Topology(
        queues=(Queue(queue, arguments=_limited(sizes.tail_length, **expires)),),
        bindings=tuple(Binding(exchange, queue, key) for key in keys),
    )

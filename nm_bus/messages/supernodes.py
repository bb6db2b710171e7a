"""What is said within a supernode and between supernodes."""

from typing import Any

from nm_bus.messages.base import Data, Health, Nested, NodeId, Seconds
from nm_bus.messages.ledger import Running, Standing
from nm_bus.messages.members import Check, Declared, Properties


class Canary(Data, frozen=True):
    """A supernode's own message through its own pipe. `path` names the queue or the link."""

    path: str
    incarnation: str
    sequence: int
    sent: Seconds


class Connection(Data, frozen=True):
    """The broker saw a member's connection come or go: a hint, never a verdict."""

    node: NodeId
    connected: bool
    reason: str = ""


class MemberState(Nested, frozen=True):
    """One member as its home sees it. `heard` and `changed` are seconds before the statement.

    `sampled` counts the metrics messages of this incarnation that were taken, `unsampled` those
    below the highest number that have not come, or not yet.
    `properties`, `declared` and `running` are told when they change and with each roster; None: as
    before.
    """

    node: NodeId
    health: Health
    reason: str = ""
    heard: Seconds | None = None
    changed: Seconds = 0.0
    incarnation: str = ""
    sequence: int = 0
    missed: int = 0
    sampled: int = 0
    unsampled: int = 0
    interval: Seconds = 0.0
    agent: str = ""
    uptime: Seconds = 0.0
    skew: Seconds = 0.0
    spooled: int = 0
    checks: tuple[Check, ...] = ()
    latest: dict[str, float] = {}
    properties: Properties | None = None
    declared: tuple[Declared, ...] | None = None
    running: Running | None = None


class PipeState(Nested, frozen=True):
    """Whether silence can be trusted on one path. `reason` says why not."""

    path: str
    proven: bool
    reason: str = ""
    delay: Seconds | None = None
    thrown: int = 0


class Statement(Data, frozen=True):
    """What one ingest process of one supernode says of its members.

    Every entry is absolute, never a difference, so a repeated or late one does no harm: per member
    the highest (incarnation, sequence) of its origin counts. `heard` are seconds since a member's
    last heartbeat, for those with nothing else to say. `roster`, when given, is the whole list of
    members: whoever is not on it, and was last told of before it, is dropped.
    """

    origin: NodeId
    partition: int
    incarnation: str
    sequence: int
    pipe: PipeState
    members: tuple[MemberState, ...] = ()
    heard: dict[NodeId, Seconds] = {}
    roster: tuple[NodeId, ...] | None = None
    received: int = 0
    refused: int = 0
    dropped: int = 0


class Rollup(Nested, frozen=True, array_like=True):
    """A window of one series: mergeable. `rate` is a counter's growth per second.

    `sketch` holds a quantile sketch's bins where the catalogue asks for quantiles. `at` is when
    `last` was measured, in seconds from the window's start, so that merging needs no order.
    """

    count: int
    total: float
    low: float
    high: float
    last: float
    rate: float | None = None
    sketch: dict[str, Any] | None = None
    at: Seconds = 0.0


class Rollups(Data, frozen=True):
    """The one-minute windows that an ingest process closed. `start` is seconds since 1970."""

    origin: NodeId
    partition: int
    incarnation: str
    sequence: int
    start: Seconds
    length: Seconds
    nodes: dict[NodeId, dict[str, Rollup]]


class LinkState(Nested, frozen=True):
    """One link as one end sees it. `backlog` counts messages, `delay` is seconds, one way.

    `heard` is how long ago the destination heard the link's last canary. A delay told by the
    destination is the difference of two clocks; only both directions' mean is free of that.
    """

    source: NodeId
    destination: NodeId
    kind: str
    state: str
    reason: str = ""
    delay: Seconds | None = None
    backlog: int = 0
    moved: int = 0
    heard: Seconds | None = None


class BrokerState(Nested, frozen=True):
    """A supernode's broker as its own supernode sees it. `dropped` counts the refused messages that
    quarantine did not take, since the supernode's processes started."""

    state: str
    reason: str = ""
    version: str = ""
    memory: int = 0
    memory_limit: int = 0
    disk_free: int = 0
    connections: int = 0
    quarantined: int = 0
    dropped: int = 0
    queues: dict[str, int] = {}


class Supernode(Data, frozen=True):
    """A supernode of itself: its broker, its links, its counts. Absolute; the newest counts.

    `sessions` are the keys of those whose owners it has heard of since it last spoke. `ledger` is
    None where there is none.
    """

    origin: NodeId
    incarnation: str
    sequence: int
    started: Seconds
    sent: Seconds
    agent: str
    broker: BrokerState
    links: tuple[LinkState, ...] = ()
    partitions: int = 1
    incoming: tuple[LinkState, ...] = ()
    sessions: tuple[str, ...] = ()
    ledger: Standing | None = None

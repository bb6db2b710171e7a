"""The messages, as frozen structs: what is said between members, supernodes and people.

One class a message, which gives the CloudEvents type its name; `schemas/` is their contract.
Nothing here reads a clock or touches bytes: `nm_bus.codec` does the second.
Times are seconds since 1970 by the sender's clock; durations are seconds.
"""

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

NodeId = str
"""The fully qualified host name, lower case: certificate name, broker user, CloudEvents source."""

DomainKey = str
"""The node id reversed (`gov.llnl.esgf-node1`): the routing key, so that `gov.llnl.#` is a site."""

Seconds = float


class Health(StrEnum):
    """What is held to be true of a member."""

    ALIVE = "alive"
    LATE = "late"
    DOWN = "down"
    UNKNOWN = "unknown"
    LEFT = "left"
    MAINTENANCE = "maintenance"


class CheckStatus(StrEnum):
    """A self-check's verdict: the four exit codes of a Nagios plugin, in their order."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How much an alert matters, the least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """Where an alert stands in its life."""

    RAISED = "raised"
    RESOLVED = "resolved"


class Data(msgspec.Struct, frozen=True, gc=False):
    """What every message's data derives from. Unknown fields are ignored, so versions may mix."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A record inside a message's data."""


# --- from members -------------------------------------------------------------------------


class Check(Part, frozen=True):
    """One self-check's last result. `output` is its first line, at most 256 characters."""

    name: str
    status: CheckStatus
    output: str = ""
    since: Seconds = 0.0


class Heartbeat(Data, frozen=True):
    """A member lives. `incarnation` is new at each start, `sequence` counts from 1 within it."""

    incarnation: str
    sequence: int
    interval: Seconds
    uptime: Seconds
    agent: str
    checks: tuple[Check, ...] = ()
    leaving: bool = False
    spooled: int = 0


class Declared(Part, frozen=True):
    """A metric that a node brings beyond the catalogue. `kind` is `gauge` or `counter`."""

    name: str
    unit: str
    kind: str = "gauge"
    quantiles: bool = False


class Metrics(Data, frozen=True):
    """Measured values: series (`disk.used` or `disk.used[/data]`) to number.

    `age` is how long ago they were measured when this was sent, by the sender's own steady clock,
    so that no clock needs to be trusted and spooled metrics land in the window where they belong.
    """

    incarnation: str
    sequence: int
    age: Seconds
    values: dict[str, float]
    declared: tuple[Declared, ...] = ()


class Endpoint(Part, frozen=True):
    """A service that a node offers."""

    name: str
    url: str
    kind: str = ""


class Properties(Data, frozen=True):
    """What a node says of itself: sent at start, on change, and every ten minutes."""

    incarnation: str
    organisation: str = ""
    description: str = ""
    latitude: float | None = None
    longitude: float | None = None
    city: str = ""
    country: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    software: dict[str, str] = {}


# --- within a supernode --------------------------------------------------------------------


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


# --- between supernodes --------------------------------------------------------------------


class MemberState(Part, frozen=True):
    """One member as its home sees it. `heard` and `changed` are seconds before the statement.

    `sampled` counts the metrics messages of this incarnation that were taken, `unsampled` those
    below the highest number that have not come, or not yet.
    `properties` and `declared` are told when they change and with each roster; None: as before.
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


class PipeState(Part, frozen=True):
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


class Rollup(Part, frozen=True, array_like=True):
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


class LinkState(Part, frozen=True):
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


class BrokerState(Part, frozen=True):
    """A supernode's broker as its own supernode sees it."""

    state: str
    reason: str = ""
    version: str = ""
    memory: int = 0
    memory_limit: int = 0
    disk_free: int = 0
    connections: int = 0
    quarantined: int = 0
    queues: dict[str, int] = {}


class Supernode(Data, frozen=True):
    """A supernode of itself: its broker, its links, its counts. Absolute; the newest counts."""

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


class Alert(Data, frozen=True):
    """One transition of one condition. `alert` is the condition's id, `transition` this step's."""

    alert: str
    transition: str
    state: AlertState
    severity: Severity
    kind: str
    subject: NodeId
    summary: str
    raised: Seconds
    changed: Seconds
    origin: NodeId
    details: dict[str, str] = {}


# --- requests and answers ------------------------------------------------------------------


class Hello(Data, frozen=True):
    """A principal introduces itself; the answer names the queue made for it, or says why not."""

    role: str
    agent: str = ""


class Query(Data, frozen=True):
    """What does the supernode know? `what` is `status`, `node`, `alerts` or `time`."""

    what: str
    node: NodeId = ""
    page: int = 0


class Ask(Data, frozen=True):
    """Ask a member itself: `status`, `metrics`, or `check` with the check's name."""

    request: str
    node: NodeId
    what: str
    check: str = ""


class Report(Data, frozen=True):
    """A member's answer to an Ask, by the ask's request id."""

    request: str
    node: NodeId
    ok: bool
    error: str = ""
    answer: dict[str, Any] = {}


class Subscribe(Data, frozen=True):
    """Make or change a durable alert queue: severities and sites to hear of; empty means all."""

    name: str = ""
    severities: tuple[Severity, ...] = ()
    under: tuple[DomainKey, ...] = ()


class Tail(Data, frozen=True):
    """Make a short-lived queue that copies live messages of one exchange."""

    exchange: str
    key: str = "#"


class Answer(Data, frozen=True):
    """The answer to any request. `error` is one clear sentence when not ok.

    `code` is for programs: `ok`, `unknown-node`, `not-allowed`, `bad-request`, `unavailable`.
    """

    request: str
    ok: bool
    code: str = "ok"
    error: str = ""
    data: dict[str, Any] = {}


# --- what a supernode answers to a Query ---------------------------------------------------


class MemberView(Part, frozen=True):
    """A member as the answering supernode holds it. `told` is the age of its home's word."""

    home: NodeId
    told: Seconds
    state: MemberState


class SupernodeView(Part, frozen=True):
    """A supernode as another one holds it: `alive` or `unknown` with the reason."""

    node: NodeId
    health: Health
    reason: str = ""
    heard: Seconds | None = None
    state: Supernode | None = None
    pipes: tuple[PipeState, ...] = ()


class Overview(Part, frozen=True):
    """The answer to Query `status`, in pages; supernodes, links and alerts are on page 0 alone."""

    answered_by: NodeId
    now: Seconds
    page: int
    pages: int
    members: tuple[MemberView, ...] = ()
    supernodes: tuple[SupernodeView, ...] = ()
    links: tuple[LinkState, ...] = ()
    alerts: tuple[Alert, ...] = ()


class Window(Part, frozen=True):
    """One closed or running window of a series; `start` is seconds since 1970."""

    start: Seconds
    rollup: Rollup


class Series(Part, frozen=True):
    """A series' windows, oldest first. `minute` and `five` are lengths; `hour` is merged."""

    unit: str = ""
    kind: str = "gauge"
    minute: tuple[Window, ...] = ()
    five: tuple[Window, ...] = ()
    hour: Window | None = None
    quantiles: dict[str, float] = {}


class NodeDetail(Part, frozen=True):
    """The answer to Query `node`: one member with its metrics."""

    member: MemberView
    series: dict[str, Series] = {}


# --- quarantine ----------------------------------------------------------------------------


class Quarantined(Data, frozen=True):
    """A message that was refused: its first 4 KiB (base64), the whole's sha256, who, why."""

    reason: str
    detail: str
    who: str
    exchange: str
    key: str
    size: int
    sha256: str
    first: str


Message = (
    Heartbeat
    | Metrics
    | Properties
    | Canary
    | Connection
    | Statement
    | Rollups
    | Supernode
    | Alert
    | Hello
    | Query
    | Ask
    | Report
    | Subscribe
    | Tail
    | Answer
    | Quarantined
)

MESSAGES: tuple[type[Message], ...] = Message.__args__

M_co = TypeVar("M_co", bound=Data, covariant=True)


class Event(msgspec.Struct, Generic[M_co], frozen=True, gc=False):
    """A CloudEvent that passed its schema. `time` is by the sender's clock and not trusted."""

    id: str
    source: NodeId
    type: str
    time: datetime
    data: M_co
    subject: str = ""
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


def message_type(message: type[Message] | Message) -> str:
    """Give the CloudEvents type of a message or its class, such as `nm.heartbeat.v1`."""
    name = message.__name__ if isinstance(message, type) else type(message).__name__
    return f"nm.{name.lower()}.v1"


@lru_cache(maxsize=65_536)  # asked several times for each message of a supernode's members
def domain_key(node: NodeId) -> DomainKey:
    """Reverse a node id by its dots: `n1.llnl.gov` gives `gov.llnl.n1`; its own inverse."""
    return ".".join(reversed(node.split(".")))

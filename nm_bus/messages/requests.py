"""What principals ask of a supernode, and what it asks of a member."""

from typing import Any

from nm_bus.messages.alerts import Alert, Severity
from nm_bus.messages.base import Data, DomainKey, Health, Nested, NodeId, Seconds
from nm_bus.messages.supernodes import LinkState, MemberState, PipeState, Rollup, Supernode


class Hello(Data, frozen=True):
    """A principal introduces itself; the answer names the queue made for it, or says why not.

    `feeds` are those that it lives by: updates of these come to its queue, and no others. The empty
    name stands for all of them.
    """

    agent: str = ""
    feeds: tuple[str, ...] = ()


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
    """Make a short-lived queue that copies live messages of one exchange: those of a key, or the
    updates of one `feed`."""

    exchange: str
    key: str = "#"
    feed: str = ""


class Answer(Data, frozen=True):
    """The answer to any request. `error` is one clear sentence when not ok.

    `code` is for programs: `ok`, `unknown-node`, `not-allowed`, `bad-request`, `unavailable`,
    `no-ledger`, and for a refused change the code of its refusal.
    """

    request: str
    ok: bool
    code: str = "ok"
    error: str = ""
    data: dict[str, Any] = {}


# --- What is kept of a refused message.


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


# --- What a supernode answers to a Query.


class MemberView(Nested, frozen=True):
    """A member as the answering supernode holds it. `told` is the age of its home's word."""

    home: NodeId
    told: Seconds
    state: MemberState


class SupernodeView(Nested, frozen=True):
    """A supernode as another one holds it: `alive` or `unknown` with the reason."""

    node: NodeId
    health: Health
    reason: str = ""
    heard: Seconds | None = None
    state: Supernode | None = None
    pipes: tuple[PipeState, ...] = ()


class FeedNumbers(Nested, frozen=True):
    """How far feeds are at a supernode: the last number of each."""

    epoch: int
    numbers: dict[str, int] = {}


class Overview(Nested, frozen=True):
    """The answer to Query `status`, in pages; supernodes, links, alerts and feeds are on page 0
    alone. The `feeds` are those that members live by; None where there is no ledger."""

    answered_by: NodeId
    now: Seconds
    page: int
    pages: int
    members: tuple[MemberView, ...] = ()
    supernodes: tuple[SupernodeView, ...] = ()
    links: tuple[LinkState, ...] = ()
    alerts: tuple[Alert, ...] = ()
    feeds: FeedNumbers | None = None


class Window(Nested, frozen=True):
    """One closed or running window of a series; `start` is seconds since 1970."""

    start: Seconds
    rollup: Rollup


class Series(Nested, frozen=True):
    """A series' windows, oldest first. `minute` and `five` are lengths; `hour` is merged."""

    unit: str = ""
    kind: str = "gauge"
    minute: tuple[Window, ...] = ()
    five: tuple[Window, ...] = ()
    hour: Window | None = None
    quantiles: dict[str, float] = {}


class NodeDetail(Nested, frozen=True):
    """The answer to Query `node`: one member with its metrics, by name, as many as fit a message;
    `left_out` counts the others."""

    member: MemberView
    series: dict[str, Series] = {}
    left_out: int = 0

"""What a supernode answers to a Query."""

from nm_bus.messages.alerts import Alert
from nm_bus.messages.base import Health, Nested, NodeId, Seconds
from nm_bus.messages.supernodes import LinkState, MemberState, PipeState, Rollup, Supernode


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


class Overview(Nested, frozen=True):
    """The answer to Query `status`, in pages; supernodes, links and alerts are on page 0 alone."""

    answered_by: NodeId
    now: Seconds
    page: int
    pages: int
    members: tuple[MemberView, ...] = ()
    supernodes: tuple[SupernodeView, ...] = ()
    links: tuple[LinkState, ...] = ()
    alerts: tuple[Alert, ...] = ()


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

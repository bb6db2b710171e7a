"""How an overview looks: alerts, supernodes, links, members, the worst first, in one screen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nm_agents.cli.screen import figures
from nm_agents.cli.screen.ledger import following, quorum, standing_cell
from nm_agents.cli.screen.listing import SENTENCE, Field, ListView, in_order, listing
from nm_agents.cli.screen.printable import cell
from nm_bus.client.federation.picture import (
    CHECK_ORDER,
    HEALTH_ORDER,
    HEALTHY,
    Picture,
    health_counts,
    links_by_cause,
    worst_check,
)
from nm_bus.client.federation.standings import Grade, newest, verdict, votes_of
from nm_bus.messages import (
    Alert,
    BrokerState,
    CheckStatus,
    Health,
    LinkState,
    MemberState,
    MemberView,
    NodeId,
    Severity,
    Standing,
    SupernodeView,
)

HEALTH_STYLE = {
    Health.ALIVE: ("●", "green"),
    Health.LATE: ("◐", "yellow"),
    Health.DOWN: ("✖", "bold red"),
    Health.UNKNOWN: ("?", "magenta"),
    Health.MAINTENANCE: ("■", "blue"),
    Health.LEFT: ("○", "dim"),
}
CALM = frozenset({Health.ALIVE, Health.LEFT, Health.MAINTENANCE})
"""What asks for nobody's attention."""

CHECK_STYLE = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.CRITICAL: "bold red",
    CheckStatus.UNKNOWN: "magenta",
}
SEVERITY_STYLE = {
    Severity.CRITICAL: "bold red",
    Severity.WARNING: "yellow",
    Severity.INFO: "cyan",
}
VERDICT_STYLE = {
    Grade.OK: "green",
    Grade.WARNING: "yellow",
    Grade.CRITICAL: "bold red",
}

DISK = "disk.percent"
LOAD = "host.load.1m"


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows of each list are shown at most (None: all), which, and members by what."""

    alerts: int | None = None
    links: int | None = None
    members: int | None = None
    unhealthy: bool = False
    sort: str = ""
    named: str = ""
    """Only the members whose id contains this."""


EVERYTHING = Rows()
SCROLLED = 500
"""Members at most on a screen that scrolls: more take too long to draw; a filter finds them."""
ORDERS = ("member", "health", "checks", "-disk", "-heard", "-load", "heard at")
"""What the members of such a screen can be sorted by."""
IN_A_PIPE = Rows(50, 50, 50)
"""Where there is no screen to fill."""

FRAME = 23
"""Lines that titles, headings, counts and blanks between them take."""


def selected(picture: Picture, rows: Rows) -> Picture:
    """What is listed: all, or what asks for attention; the members in the order that is wanted."""
    named = [view for view in picture.members if rows.named in view.state.node]
    members = tuple(in_order(MEMBERS, named, rows.sort))
    if not rows.unhealthy:
        return replace(picture, members=members)
    return replace(
        picture,
        supernodes=tuple(view for view in picture.supernodes if not _is_well(view)),
        links=tuple(link for link in picture.links if link.state not in HEALTHY),
        members=tuple(view for view in members if not _is_calm(view.state)),
    )


def _is_well(view: SupernodeView) -> bool:
    is_running = view.state is not None and view.state.broker.state in HEALTHY
    return view.health in CALM and is_running


def _is_calm(state: MemberState) -> bool:
    return state.health in CALM and worst_check(state) is CheckStatus.OK


def rows_that_fit(picture: Picture, height: int) -> Rows:
    """Share a terminal's lines: what is no alert and no link in need of room goes to members."""
    room = max(6, height - FRAME - len(picture.supernodes))
    alerts = min(len(picture.alerts), room // 3)
    causes, others = links_by_cause(picture)
    links = min(len(causes) + len(others), room // 3)
    return Rows(alerts, links, room - alerts - links)


def status_page(picture: Picture, width: int, rows: Rows = EVERYTHING) -> RenderableType:
    """The screen."""
    listed = selected(picture, rows)
    supernodes = _supernodes(picture, listed.supernodes, width)
    return Group(
        headline(picture),
        *_section("ALERTS", _alerts(picture, width, rows.alerts)),
        *_section("SUPERNODES", [*supernodes, *quorum(picture)]),
        *_section("LINKS", _links(listed, width, rows.links)),
        *_section("MEMBERS", _members(picture, listed.members, width, rows.members)),
    )


def headline(picture: Picture) -> Text:
    """How it does, and who says so."""
    level, why = verdict(picture)
    return Text.assemble(
        (level.name, VERDICT_STYLE[level]),
        f"  {why}\n",
        cell(f"as {picture.answered_by} sees it at {figures.clock(picture.now)} UTC", "dim"),
    )


def _section(title: str, parts: Sequence[RenderableType]) -> list[RenderableType]:
    return [Text(""), Text(title, style="bold"), *parts] if parts else []


ALERT = (
    Field("severity"),
    Field("subject"),
    Field("summary", least=SENTENCE),
    Field("for", rank=1, right=True),
)


def _alerts(picture: Picture, width: int, most: int | None) -> list[RenderableType]:
    if not picture.alerts:
        return []
    rows = [_alert_row(alert, picture.now) for alert in picture.alerts[:most]]
    return [listing(ALERT, rows, width), *_and_more(len(picture.alerts), most, "alert")]


def _alert_row(alert: Alert, now: float) -> list[Text]:
    return [
        cell(alert.severity, SEVERITY_STYLE[alert.severity]),
        cell(alert.subject),
        cell(alert.summary),
        cell(figures.age(max(0.0, now - alert.raised))),
    ]


SUPERNODE = (
    Field(""),
    Field("supernode"),
    Field("health", least=SENTENCE),
    Field("broker", rank=1, least=SENTENCE),
    Field("ledger", rank=2, least=SENTENCE),
    Field("pipes", rank=3),
    Field("role", rank=4),
    Field("memory", rank=5, right=True),
    Field("conns", rank=6, right=True),
    Field("quarantined", rank=5, right=True),
    Field("version", rank=7),
)


def _supernodes(
    picture: Picture, listed: Sequence[SupernodeView], width: int
) -> list[RenderableType]:
    furthest, votes = newest(picture), votes_of(picture)
    rows = [
        _supernode_row(view, votes.role(view.node) if votes else "-", furthest) for view in listed
    ]
    return [listing(SUPERNODE, rows, width)] if rows else []


def _supernode_row(view: SupernodeView, role: str, furthest: Standing | None) -> list[Text]:
    symbol, style = HEALTH_STYLE[view.health]
    health = _because(view.health, view.reason)
    if role == "none":
        symbol, style = HEALTH_STYLE[Health.LEFT]
        health = f"no supernode in the ledger, {view.health}"
    head = [Text(symbol, style), cell(view.node), cell(health, style)]
    unknown = Text("-", "dim")
    if view.state is None or view.health is not Health.ALIVE:
        # What it said before it fell silent may be true no more.
        return [*head, unknown, unknown, unknown, cell(role), *[unknown] * 4]
    broker = view.state.broker
    calm = broker.state in HEALTHY
    return [
        *head,
        cell(_because(broker.state, broker.reason), "green" if calm else "bold red"),
        standing_cell(view.state.ledger, furthest),
        _pipes(view),
        cell(role),
        *_broker_figures(broker),
    ]


def _broker_figures(broker: BrokerState) -> list[Text]:
    return [
        cell(f"{figures.size(broker.memory)}/{figures.size(broker.memory_limit)}"),
        cell(str(broker.connections)),
        _quarantined(broker),
        cell(broker.version),
    ]


def _quarantined(broker: BrokerState) -> Text:
    count = figures.number(broker.quarantined)
    if not broker.dropped:
        return cell(count)
    return cell(f"{count}, {figures.number(broker.dropped)} lost", "bold red")


def _because(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else str(state)


def _pipes(view: SupernodeView) -> Text:
    doubtful = [pipe for pipe in view.pipes if not pipe.proven]
    if doubtful:
        return cell(_because(doubtful[0].path, doubtful[0].reason), "magenta")
    delays = [pipe.delay for pipe in view.pipes if pipe.delay is not None]
    return cell(f"proven, {figures.span(max(delays))}" if delays else "-", "green")


LINK = (
    Field(""),
    Field("link"),
    Field("state", least=SENTENCE),
    Field("kind", rank=1),
    Field("backlog", rank=2, right=True),
    Field("delay", rank=3, right=True),
)


def _links(picture: Picture, width: int, most: int | None) -> list[RenderableType]:
    if not picture.links:
        return []
    causes, links = links_by_cause(picture)
    room = None if most is None else max(0, most - len(causes))
    rows = [
        *(_lost_row(node, count) for node, count in causes.items()),
        *(_link_row(link) for link in links[:room]),
    ]
    hidden = [] if room is None else links[room:]
    failing = sum(link.state not in HEALTHY for link in hidden)
    return [listing(LINK, rows, width), *_and_more(len(links), room, "link", failing)]


def _lost_row(node: NodeId, count: int) -> list[Text]:
    """One row for all the links that a supernode in trouble took with it."""
    said = cell(f"{figures.plural(count, 'link')}: see the supernode above", "bold red")
    return [Text("✖", "bold red"), cell(f"{node} ⇄ others"), said]


def _link_row(link: LinkState) -> list[Text]:
    style = "green" if link.state in HEALTHY else "bold red"
    return [
        Text("●" if link.state in HEALTHY else "✖", style),
        cell(f"{link.source} → {link.destination}"),
        cell(_because(link.state, link.reason), style),
        cell(link.kind),
        cell(f"{link.backlog:,}"),
        cell(figures.span(link.delay)),
    ]


MEMBER = (
    Field(""),
    Field("member"),
    Field("health", least=SENTENCE),
    Field("checks", rank=1, least=SENTENCE),
    Field("disk", rank=2, right=True),
    Field("heard", rank=3, right=True),
    Field("load", rank=4, right=True),
    Field("heard at", rank=5),
)


def _member_row(view: MemberView) -> list[Text]:
    state = view.state
    symbol, style = HEALTH_STYLE[state.health]
    return [
        Text(symbol, style),
        cell(state.node),
        cell(_because(state.health, state.reason), style),
        checks_cell(state),
        _disk(state),
        cell(figures.age(state.heard)),
        cell(figures.number(state.latest.get(LOAD))),
        cell(view.home, "dim"),
    ]


def _disk(state: MemberState) -> Text:
    fullest = fullest_disk(state.latest)
    if fullest is None:
        return Text("-")
    return Text(
        f"{fullest:.0f} %", "bold red" if fullest >= 95 else "yellow" if fullest >= 85 else ""
    )


def fullest_disk(latest: dict[str, float]) -> float | None:
    """The fullest of a member's mount points, in per cent."""
    shares = [value for name, value in latest.items() if name.partition("[")[0] == DISK]
    return max(shares, default=None)


def checks_cell(state: MemberState) -> Text:
    """`3 ok`, or the worst checks by name."""
    if not state.checks:
        return Text("-", "dim")
    worst = worst_check(state)
    names = [c.name for c in state.checks if c.status is worst]
    if worst is CheckStatus.OK:
        return Text(f"{len(names)} ok", "green")
    return cell(f"{worst}: {', '.join(names)}", CHECK_STYLE[worst], limit=40)


MEMBER_KEYS: dict[str, Callable[[MemberView], Any]] = {
    "health": lambda view: HEALTH_ORDER.index(view.state.health),
    "checks": lambda view: CHECK_ORDER.index(worst_check(view.state)),
    "disk": lambda view: fullest_disk(view.state.latest) or 0.0,
    "heard": lambda view: -1.0 if view.state.heard is None else view.state.heard,
    "load": lambda view: view.state.latest.get(LOAD, 0.0),
}
MEMBERS = ListView(MEMBER, _member_row, lambda view: view.state.node, MEMBER_KEYS)


def _members(
    picture: Picture, listed: Sequence[MemberView], width: int, most: int | None
) -> list[RenderableType]:
    if not picture.members:
        return [Text("none", style="dim")]
    rows = [_member_row(view) for view in listed[:most]]
    hidden = () if most is None else listed[most:]
    troubled = sum(view.state.health not in CALM for view in hidden)
    more = _and_more(len(listed), most, "member", troubled)
    shown = [listing(MEMBER, rows, width)] if rows else []
    return [_counts(picture), *following(picture), *shown, *more]


def _counts(picture: Picture) -> Text:
    parts = [
        (f"{HEALTH_STYLE[health][0]} {count:,} {health}   ", HEALTH_STYLE[health][1])
        for health, count in health_counts(picture).items()
    ]
    return Text.assemble(*parts)


def _and_more(count: int, most: int | None, noun: str, in_trouble: int = 0) -> list[RenderableType]:
    """How many rows are not shown, and how many of them should be looked at."""
    hidden = count - most if most is not None else 0
    if hidden <= 0:
        return []
    trouble = f", {in_trouble} of them in trouble" if in_trouble else ""
    said = f"and {hidden:,} more {noun}{'' if hidden == 1 else 's'}{trouble} (--all shows them)"
    return [Text(said, style="bold red" if in_trouble else "dim")]

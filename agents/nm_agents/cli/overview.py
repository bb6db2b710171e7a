"""What the federation looks like to who asks: fetched in pages, filtered, sorted worst first.

Pure but for `fetch`, which asks the bus. What it looks like on a screen is not decided here.
"""

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec

from nm_agents.cli import ledgers
from nm_agents.cli.bus import Bus, ask
from nm_agents.cli.screen.figures import plural
from nm_bus.client.asking import understood
from nm_bus.errors import RefusedError
from nm_bus.messages import (
    Alert,
    AlertState,
    CheckStatus,
    DomainKey,
    Health,
    LinkState,
    MemberState,
    MemberView,
    NodeId,
    Overview,
    Query,
    Seconds,
    Severity,
    SupernodeView,
    domain_key,
)

PAGES = 10_000
"""More pages than any federation has: an answer that claims more is refused."""

HEALTH_ORDER = (
    Health.DOWN,
    Health.UNKNOWN,
    Health.LATE,
    Health.MAINTENANCE,
    Health.ALIVE,
    Health.LEFT,
)
CHECK_ORDER = (CheckStatus.CRITICAL, CheckStatus.UNKNOWN, CheckStatus.WARNING, CheckStatus.OK)
SEVERITY_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
HEALTHY = frozenset({"up", "running"})
"""The states of a link or a broker that need nobody's eye."""

MANY = 2
"""So many links with the same cause are said at once."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole overview, its pages put together."""

    answered_by: NodeId
    now: Seconds
    members: tuple[MemberView, ...]
    supernodes: tuple[SupernodeView, ...]
    links: tuple[LinkState, ...]
    alerts: tuple[Alert, ...]


class Verdict(IntEnum):
    """How the federation does: the exit codes of a Nagios plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


def fetch(bus: Bus, timeout: Seconds) -> Picture:
    """Ask for every page. A member that moved between two pages is kept once."""
    first = _page(bus, 0, timeout)
    if first.pages > PAGES:
        raise RefusedError(f"{first.answered_by} claims {first.pages} pages, which cannot be")
    rest = (_page(bus, n, timeout) for n in range(1, first.pages))
    members = {m.state.node: m for page in (first, *rest) for m in page.members}
    return Picture(
        first.answered_by,
        first.now,
        tuple(sorted(members.values(), key=member_rank)),
        tuple(sorted(first.supernodes, key=supernode_rank)),
        tuple(sorted(first.links, key=link_rank)),
        tuple(sorted(active(first.alerts), key=alert_rank)),
    )


def _page(bus: Bus, number: int, timeout: Seconds) -> Overview:
    return understood(ask(bus, Query(what="status", page=number), timeout), Overview)


def active(alerts: tuple[Alert, ...]) -> list[Alert]:
    """The alerts whose condition holds."""
    return [alert for alert in alerts if alert.state is not AlertState.RESOLVED]


def is_under(node: NodeId, site: DomainKey) -> bool:
    """Whether a node belongs to a site: `gov.llnl` holds `n1.llnl.gov`, not `n1.llnl2.gov`."""
    key = domain_key(node)
    return not site or key == site or key.startswith(site + ".")


def under(picture: Picture, site: DomainKey) -> Picture:
    """The members and alerts of a site. Supernodes and links stay: they are how it is heard."""
    return Picture(
        picture.answered_by,
        picture.now,
        tuple(m for m in picture.members if is_under(m.state.node, site)),
        picture.supernodes,
        picture.links,
        tuple(a for a in picture.alerts if is_under(a.subject, site)),
    )


def member_rank(view: MemberView) -> tuple[int, int, str]:
    """The worst first: by health, then by the worst check, then by name."""
    state = view.state
    return HEALTH_ORDER.index(state.health), CHECK_ORDER.index(worst_check(state)), state.node


def supernode_rank(view: SupernodeView) -> tuple[int, bool, str]:
    """Those not alive first, then those whose broker is in trouble."""
    calm = view.state is not None and view.state.broker.state in HEALTHY
    return HEALTH_ORDER.index(view.health), calm, view.node


def link_rank(link: LinkState) -> tuple[bool, str, str, str]:
    """Links in trouble first."""
    return link.state in HEALTHY, link.source, link.destination, link.kind


def links_by_cause(picture: Picture) -> tuple[Counter[NodeId], tuple[LinkState, ...]]:
    """How many links are in trouble since a supernode at their end is; and all other links.

    A single link of a supernode stays among the others, with its own reason.
    """
    lost = {view.node for view in picture.supernodes if view.health is not Health.ALIVE}
    causes = [_cause(link, lost) for link in picture.links]
    counts = Counter(filter(None, causes))
    both = zip(picture.links, causes, strict=True)
    others = tuple(link for link, node in both if counts[node] < MANY)
    return Counter({node: count for node, count in counts.items() if count >= MANY}), others


def _cause(link: LinkState, lost: set[NodeId]) -> NodeId:
    ends = lost.intersection((link.source, link.destination))
    return min(ends) if ends and link.state not in HEALTHY else ""


def alert_rank(alert: Alert) -> tuple[int, float, str]:
    """The most severe first, the newest first among them."""
    return SEVERITY_ORDER.index(alert.severity), -alert.raised, alert.alert


def worst_check(state: MemberState) -> CheckStatus:
    """The worst of a member's checks; none is fine."""
    return min((c.status for c in state.checks), key=CHECK_ORDER.index, default=CheckStatus.OK)


def health_counts(picture: Picture) -> dict[Health, int]:
    """How many members are in each health, the worst first."""
    counts = Counter(view.state.health for view in picture.members)
    return {health: counts[health] for health in HEALTH_ORDER if counts[health]}


def verdict(picture: Picture) -> tuple[Verdict, str]:
    """How it does, and why in a few words."""
    reasons = _reasons(picture)
    worst = max((level for level, _ in reasons), default=Verdict.OK)
    fine = ", ".join(
        (plural(len(picture.supernodes), "supernode"), plural(len(picture.members), "member"))
    )
    unsure = sum(worst_check(view.state) is CheckStatus.UNKNOWN for view in picture.members)
    if unsure:
        fine += f" ({unsure} with an unknown check)"
    return worst, ", ".join(text for level, text in reasons if level == worst) or fine


def _reasons(picture: Picture) -> list[tuple[Verdict, str]]:
    counts = health_counts(picture)
    votes = ledgers.votes(picture)
    outside = {s.node for s in picture.supernodes if votes and votes.role(s.node) == "none"}
    inside = [s for s in picture.supernodes if s.node not in outside]
    troubled = [s for s in inside if not s.state or s.state.broker.state not in HEALTHY]
    links = [
        link
        for link in picture.links
        if link.state not in HEALTHY and outside.isdisjoint((link.source, link.destination))
    ]
    critical = [a for a in picture.alerts if a.severity is Severity.CRITICAL]
    warning = [a for a in picture.alerts if a.severity is Severity.WARNING]
    found = (
        (Verdict.CRITICAL, counts.get(Health.DOWN, 0), "member", "down"),
        (Verdict.CRITICAL, len(critical), "critical alert", ""),
        (Verdict.CRITICAL, len(troubled), "supernode", "in trouble"),
        (Verdict.WARNING, counts.get(Health.UNKNOWN, 0), "member", "unknown"),
        (Verdict.WARNING, counts.get(Health.LATE, 0), "member", "late"),
        (Verdict.WARNING, len(warning), "warning", ""),
        (Verdict.WARNING, len(links), "link", "in trouble"),
    )
    stuck = [(Verdict.CRITICAL, _stuck(votes))] if votes and votes.able < votes.needed else []
    return stuck + [
        (level, f"{plural(count, noun)} {what}".rstrip())
        for level, count, noun, what in found
        if count
    ]


def _stuck(votes: ledgers.Votes) -> str:
    return f"no change can be agreed: {votes.able} of {plural(len(votes.voters), 'voter')} can vote"


def as_data(picture: Picture) -> dict[str, Any]:
    """The picture as plain values, with the counts that people count on."""
    level, why = verdict(picture)
    counts = {health.value: count for health, count in health_counts(picture).items()}
    return {
        "answered_by": picture.answered_by,
        "now": picture.now,
        "verdict": level.name.lower(),
        "why": why,
        "counts": counts,
        "supernodes": msgspec.to_builtins(picture.supernodes),
        "links": msgspec.to_builtins(picture.links),
        "members": msgspec.to_builtins(picture.members),
        "alerts": msgspec.to_builtins(picture.alerts),
    }

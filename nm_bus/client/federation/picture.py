"""What the federation looks like to who asks: its pages put together, filtered, the worst first.

Pure. How it is asked for is `Client.status`; what it looks like on a screen is not decided here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from nm_bus.client.asking import ROUNDS, Asking, Judge, Said, T, good, understood
from nm_bus.errors import RefusedError
from nm_bus.messages import (
    Alert,
    AlertState,
    Answer,
    Ask,
    CheckStatus,
    DomainKey,
    FeedNumbers,
    Health,
    LinkState,
    MemberState,
    MemberView,
    Message,
    NodeDetail,
    NodeId,
    Overview,
    Query,
    Seconds,
    Severity,
    SupernodeView,
    domain_key,
)

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
    feeds: FeedNumbers | None = None
    """How far the feeds that members live by are at who answered; None without a ledger."""


def whole(pages: Iterable[Overview]) -> Picture:
    """An overview's pages put together. A member that moved between two pages is kept once."""
    first, *rest = pages
    members = {m.state.node: m for page in (first, *rest) for m in page.members}
    return Picture(
        first.answered_by,
        first.now,
        tuple(sorted(members.values(), key=member_rank)),
        tuple(sorted(first.supernodes, key=supernode_rank)),
        tuple(sorted(first.links, key=link_rank)),
        tuple(sorted(active(first.alerts), key=alert_rank)),
        first.feeds,
    )


def active(alerts: Iterable[Alert]) -> list[Alert]:
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
        picture.feeds,
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


# --- What a supernode is asked about the federation, and what is made of its answers.

PAGES = 10_000
"""More pages than any federation has: an answer that claims more is refused."""


@dataclass(frozen=True, slots=True)
class FederationQuestions:
    """Asks whichever supernode answers. `said` hears what an answer could not hold."""

    asking: Asking
    timeout: Seconds
    said: Said

    def _asked(self, message: Message, judge: Judge[T]) -> T:
        return self.asking.settled(
            message, judge, timeout=self.timeout, patience=self.timeout, rounds=ROUNDS
        )

    def picture(self) -> Picture:
        """Everything that a supernode knows of members, supernodes, links and alerts."""
        first = self._page(0)
        if first.pages > PAGES:
            raise RefusedError(f"{first.answered_by} claims {first.pages} pages, which cannot be")
        return whole([first, *(self._page(n) for n in range(1, first.pages))])

    def _page(self, number: int) -> Overview:
        answer = self._asked(Query("status", page=number), good)
        return understood(answer.data, Overview)

    def node(self, node: NodeId) -> NodeDetail:
        """One node with its metrics. Raises RefusedError when nobody knows it."""
        return understood(self._asked(Query("node", node=node.lower()), good).data, NodeDetail)

    def alerts(self, under: DomainKey) -> list[Alert]:
        """The alerts whose condition holds now, the most severe first."""
        answer = self._asked(Query("alerts"), good)
        try:
            known = msgspec.convert(answer.data.get("alerts", []), tuple[Alert, ...])
        except msgspec.ValidationError as error:
            text = f"the supernode's alerts are not understood: {error}"
            raise RefusedError(text) from None
        if answer.data.get("more"):
            self.said("more alerts are active than one answer holds; following gives them all")
        return sorted((a for a in active(known) if is_under(a.subject, under)), key=alert_rank)

    def clock(self) -> Seconds | None:
        """What a supernode's clock says, in seconds since 1970; None when it does not say."""
        now = self._asked(Query("time"), good).data.get("now")
        return float(now) if isinstance(now, int | float) else None

    def ask(self, node: NodeId, what: str, check: str = "") -> dict[str, Any]:
        """A question that travels to the member itself; what it answers, as it says it."""
        question = Ask(request=uuid4().hex, node=node.lower(), what=what, check=check)
        answer = self._asked(question, _as_it_is)
        return good(answer, "the supernode").data


def _as_it_is(answer: Answer, _supernode: NodeId) -> Answer:
    return answer

"""The federation on a page: a supernode's view as the answer to a query.

Pure: reads the view, changes nothing.
"""

from collections.abc import Iterable, Iterator

import msgspec

from nm_bus.core.ledger.feed import last_place
from nm_bus.core.ledger.state import State
from nm_bus.core.links import LinkHealth
from nm_bus.core.pages import first_page, pages
from nm_bus.core.view import View
from nm_bus.messages import (
    Alert,
    FeedNumbers,
    LinkState,
    MemberView,
    NodeId,
    Overview,
    Seconds,
    Severity,
    SupernodeView,
)

MOST_FEEDS = 1_000
"""Feeds on the first page."""

MOST_ALERTS = 500
"""Alerts on the first page; of more, the most severe and the newest."""

Link = tuple[NodeId, NodeId, str]


def overview(
    view: View, alerts: Iterable[Alert], page: int, now: Seconds, ledger: State | None = None
) -> Overview:
    """One page of all that is known; supernodes, links, alerts and feeds are on the first alone."""
    members = sorted(view.members(now), key=lambda member: member.state.node)
    told = list(pages(members))
    shown = told[page] if page < len(told) else ()
    if page:
        return Overview(view.origin, now, page, len(told), shown)
    supernodes = tuple(view.overview(now))
    known = tuple(links(supernodes))
    feeds = None if ledger is None else feed_numbers(members, ledger)
    here = view.origin, now, 0, len(told)
    return Overview(*here, shown, supernodes, known, foremost(alerts), feeds)


def feed_numbers(members: Iterable[MemberView], ledger: State) -> FeedNumbers:
    """How far the feeds are that members live by; of very many, the first by their names."""
    told = (view.state.running for view in members)
    names = {each.feed for running in told if running is not None for each in running.feeds}
    numbers = {
        name: last_place(name, ledger).number if name else ledger.revision
        for name in sorted(names)[:MOST_FEEDS]
    }
    return FeedNumbers(ledger.epoch, numbers)


def foremost(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """The alerts that matter most, as many as fit an answer: severe before mild, new before old."""
    rank = {severity: number for number, severity in enumerate(Severity)}
    ranked = sorted(alerts, key=lambda alert: (-rank[alert.severity], -alert.raised))
    return first_page(ranked, MOST_ALERTS)[0]


def links(supernodes: Iterable[SupernodeView]) -> Iterator[LinkState]:
    """Every link, by what its source says of it, with the delay that its ends measured.

    Where the source is not heard, its link's state is `unknown`: nobody can say.
    """
    known = {each.node: each for each in supernodes}
    heard = {_key(link): link for each in known.values() for link in _incoming(each)}
    for each in known.values():
        for link in each.state.links if each.state else ():
            delay = _one_way(link, heard)
            shown = msgspec.structs.replace(link, delay=delay)
            yield _doubted(shown, each.reason) if each.reason else shown


def _incoming(supernode: SupernodeView) -> tuple[LinkState, ...]:
    return supernode.state.incoming if supernode.state else ()


def _key(link: LinkState) -> Link:
    return (link.source, link.destination, link.kind)


def _one_way(link: LinkState, heard: dict[Link, LinkState]) -> Seconds | None:
    """Half of both directions' differences: what the two clocks disagree by falls out."""
    there = heard.get(_key(link))
    back = heard.get((link.destination, link.source, link.kind))
    if there is None or back is None or there.delay is None or back.delay is None:
        return None
    return max(0.0, (there.delay + back.delay) / 2)


def _doubted(link: LinkState, reason: str) -> LinkState:
    if link.state != LinkHealth.RUNNING:
        return link
    return msgspec.structs.replace(link, state="unknown", reason=reason)

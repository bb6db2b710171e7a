"""What is wrong in the federation, read from a supernode's view: a list of conditions.

Pure. A home speaks for its members; for a silent supernode speaks the first of those that are
heard, by name, so that one trouble has one alert. What cannot be known now is said so, and then
neither raises nor resolves anything.
"""

from collections.abc import Iterable, Iterator

from nm_bus.core.alerts import Condition
from nm_bus.core.health import TWO_AGENTS
from nm_bus.core.links import LinkHealth
from nm_bus.core.view import View
from nm_bus.messages import (
    BrokerState,
    Check,
    CheckStatus,
    Health,
    LinkState,
    MemberView,
    NodeId,
    Seconds,
    Severity,
)

PATIENCE = 5.0
"""Seconds for which a link or a broker may stumble before anybody is told."""

QUARANTINE_WINDOW = 60.0
"""Seconds of quiet after which quarantine is no longer growing."""

KNOWN = frozenset({Health.ALIVE, Health.LATE, Health.LEFT})


def conditions(
    view: View,
    broker: BrokerState,
    incoming: Iterable[LinkState],
    *,
    last_refusal: Seconds | None,
    hearing_since: Seconds | None,
    now: Seconds,
) -> Iterator[Condition]:
    """Everything that this supernode has an opinion on now.

    `hearing_since` is since when its own broker serves it: who is deaf calls nobody silent.
    """
    deaf = hearing_since is None or now - hearing_since <= view.limit
    for member in view.members(now):
        yield from member_conditions(member, mine=member.home == view.origin)
    for supernode in view.supernodes:
        if supernode != view.origin and supernode not in view.outsiders:
            yield supernode_silent(view, supernode, now, deaf=deaf)
    for link in (each for each in incoming if each.source not in view.outsiders):
        yield link_trouble(view, link, now, deaf=deaf)
    yield broker_trouble(view.origin, broker)
    yield quarantine_growing(view.origin, last_refusal, now)


def member_conditions(member: MemberView, *, mine: bool) -> Iterator[Condition]:
    """A member down, cloned, and each of its checks."""
    state = member.state
    doubtful = state.health is Health.UNKNOWN
    yield Condition(
        kind="member-down",
        subject=state.node,
        severity=Severity.CRITICAL,
        summary=f"{state.node} is down: {state.reason}",
        holds=None if doubtful or state.health is Health.LATE else state.health is Health.DOWN,
        mine=mine,
    )
    if doubtful and TWO_AGENTS in state.reason:
        yield Condition(
            kind="member-cloned",
            subject=state.node,
            severity=Severity.WARNING,
            summary=f"two agents run as {state.node}, with one certificate: stop one of them",
            mine=mine,
        )
    for check in state.checks:
        yield from check_conditions(
            state.node, check, state.health, mine=mine, patience=state.interval
        )


def check_conditions(
    node: NodeId, check: Check, health: Health, *, mine: bool, patience: Seconds = 0.0
) -> Iterator[Condition]:
    """A check that is critical, or warns; known only while its node is heard, or has left.

    One heartbeat later it must still be so: what comes and goes with each is no alert.
    """
    for status, severity in (
        (CheckStatus.CRITICAL, Severity.CRITICAL),
        (CheckStatus.WARNING, Severity.WARNING),
    ):
        yield Condition(
            kind=f"check-{status}",
            subject=node,
            what=check.name,
            severity=severity,
            summary=f"{check.name} on {node} is {check.status}: {check.output}".rstrip(": "),
            holds=_holds(check.status is status, health),
            mine=mine,
            patience=patience,
        )


def _holds(failing: bool, health: Health) -> bool | None:
    if health not in KNOWN:
        return None
    return failing and health is not Health.LEFT


def supernode_silent(
    view: View, supernode: NodeId, now: Seconds, *, deaf: bool = False
) -> Condition:
    """A supernode that nobody hears any more; heard by another one, it is a link's trouble."""
    silence = view.silence(supernode, now)
    silent = bool(silence) and not view.heard_elsewhere(supernode, now)
    unknowable = view.is_expected(supernode, now) or (silent and deaf)
    return Condition(
        kind="supernode-silent",
        subject=supernode,
        severity=Severity.CRITICAL,
        summary=f"{silence}: its broker, its process or its site is down",
        holds=None if unknowable else silent,
        mine=_responsible(view, supernode, now) == view.origin,
    )


def _responsible(view: View, silent: NodeId, now: Seconds) -> NodeId:
    return speaker(view, now, other_than=silent)


def speaker(view: View, now: Seconds, *, other_than: NodeId = "") -> NodeId:
    """Who speaks for a supernode that cannot: the first of the project's that are heard."""
    apart = {other_than, *view.outsiders}
    heard = (n for n in view.supernodes if n not in apart and not view.silence(n, now))
    return min([view.origin, *heard])


def link_trouble(view: View, link: LinkState, now: Seconds, *, deaf: bool = False) -> Condition:
    """A link that brings nothing, while its source is known to speak."""
    silent = view.silence(link.source, now) and not view.heard_elsewhere(link.source, now)
    fails = link.state != LinkHealth.RUNNING
    return Condition(
        kind="link-trouble",
        subject=link.source,
        what=f"{link.source}>{link.destination}.{link.kind}",
        severity=Severity.WARNING,
        summary=f"the {link.kind} link from {link.source} to {link.destination}: {link.reason}",
        holds=None if silent or (fails and deaf) else fails,
        patience=PATIENCE,
    )


def broker_trouble(origin: NodeId, broker: BrokerState) -> Condition:
    """This supernode's own broker is blocked or gone."""
    return Condition(
        kind="broker-trouble",
        subject=origin,
        severity=Severity.CRITICAL,
        summary=f"the broker of {origin} is {broker.state}: {broker.reason}".rstrip(": "),
        holds=broker.state not in ("up", "starting"),
        patience=PATIENCE,
    )


def quarantine_growing(origin: NodeId, last: Seconds | None, now: Seconds) -> Condition:
    """Messages are being refused at this supernode."""
    return Condition(
        kind="quarantine-growing",
        subject=origin,
        severity=Severity.WARNING,
        summary=f"messages are refused at {origin}; `nm-bus dead list` on its host shows why",
        holds=last is not None and now - last < QUARANTINE_WINDOW,
    )

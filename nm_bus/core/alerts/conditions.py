"""What is wrong in the federation: conditions of one thing each, by what is known of it.

Pure. What cannot be known now is said so, and then neither raises nor resolves anything.
"""

from collections.abc import Collection, Iterator

import msgspec

from nm_bus.core.alerts import kinds
from nm_bus.core.alerts.kinds import AlertKind
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
)

QUARANTINE_WINDOW = 60.0
"""Seconds of quiet after which quarantine is no longer growing."""

KNOWN = frozenset({Health.ALIVE, Health.LATE, Health.LEFT})


class Condition(msgspec.Struct, frozen=True):
    """Something that is wrong. `key` is the same for as long as it is the same trouble.

    `holds` is None when it cannot be known now. `interval` is the heartbeats' of the member that
    it is about, for kinds whose patience is counted in them.
    """

    kind: AlertKind
    subject: NodeId
    summary: str
    what: str = ""
    holds: bool | None = True
    interval: Seconds = 0.0
    details: dict[str, str] = {}

    @property
    def key(self) -> str:
        """The condition's name: kind, subject, and what of it."""
        return condition_key(self.kind.name, self.subject, self.what)

    @property
    def patience(self) -> Seconds:
        """For how long it must hold before it is an alert."""
        return self.kind.patience + self.kind.intervals * self.interval


def condition_key(kind: str, subject: NodeId, what: str) -> str:
    """The name of a condition."""
    return f"{kind}:{subject}:{what}" if what else f"{kind}:{subject}"


def member_conditions(member: MemberView) -> Iterator[Condition]:
    """A member down, cloned, and each of its checks that is not well; a healthy one gives none."""
    state = member.state
    if state.health in (Health.DOWN, Health.LATE, Health.UNKNOWN):
        yield Condition(
            kinds.MEMBER_DOWN,
            state.node,
            f"{state.node} is down: {state.reason}",
            holds=True if state.health is Health.DOWN else None,
        )
    if state.health is Health.UNKNOWN:
        cloned = TWO_AGENTS in state.reason
        yield Condition(
            kinds.MEMBER_CLONED,
            state.node,
            f"two agents run as {state.node}, with one certificate: stop one of them",
            holds=True if cloned else None,
        )
    for check in state.checks:
        yield from check_conditions(state.node, check, state.health, interval=state.interval)


def check_conditions(
    node: NodeId, check: Check, health: Health, *, interval: Seconds = 0.0
) -> Iterator[Condition]:
    """A check that is critical, or warns; known only while its node is heard, or has left.

    One heartbeat later it must still be so: what comes and goes with each is no alert.
    """
    if health is Health.LEFT:
        return
    for status, kind in (
        (CheckStatus.CRITICAL, kinds.CHECK_CRITICAL),
        (CheckStatus.WARNING, kinds.CHECK_WARNING),
    ):
        if health not in KNOWN:
            yield Condition(kind, node, "", check.name, holds=None)
        elif check.status is status:
            summary = f"{check.name} on {node} is {check.status}: {check.output}".rstrip(": ")
            yield Condition(kind, node, summary, check.name, interval=interval)


def supernode_silent(
    view: View, supernode: NodeId, now: Seconds, *, deaf: bool = False
) -> Condition:
    """A supernode that nobody hears any more; heard by another one, it is a link's trouble."""
    silence = view.silence(supernode, now)
    silent = bool(silence) and not view.heard_elsewhere(supernode, now)
    unknowable = view.is_expected(supernode, now) or (silent and deaf)
    return Condition(
        kinds.SUPERNODE_SILENT,
        supernode,
        f"{silence}: its broker, its process or its site is down",
        holds=None if unknowable else silent,
    )


def link_trouble(view: View, link: LinkState, now: Seconds, *, deaf: bool = False) -> Condition:
    """A link that brings nothing, while its source is known to speak."""
    silent = view.silence(link.source, now) and not view.heard_elsewhere(link.source, now)
    fails = link.state != LinkHealth.RUNNING
    return Condition(
        kinds.LINK_TROUBLE,
        link.source,
        f"the {link.kind} link from {link.source} to {link.destination}: {link.reason}",
        f"{link.source}>{link.destination}.{link.kind}",
        holds=None if silent or (fails and deaf) else fails,
    )


def broker_trouble(origin: NodeId, broker: BrokerState) -> Condition:
    """This supernode's own broker is blocked or gone."""
    return Condition(
        kinds.BROKER_TROUBLE,
        origin,
        f"the broker of {origin} is {broker.state}: {broker.reason}".rstrip(": "),
        holds=broker.state not in ("up", "starting"),
    )


def quarantine_growing(origin: NodeId, last: Seconds | None, now: Seconds) -> Condition:
    """Messages are being refused at this supernode."""
    return Condition(
        kinds.QUARANTINE_GROWING,
        origin,
        f"messages are refused at {origin}; `nm-bus dead list` on its host shows why",
        holds=last is not None and now - last < QUARANTINE_WINDOW,
    )


def ledger_stopped(node: NodeId, reason: str) -> Condition:
    """A supernode's ledger has stopped, for a reason."""
    summary = f"the ledger of {node} has stopped: {reason}"
    return Condition(kinds.LEDGER_STOPPED, node, summary, holds=bool(reason))


def ledger_behind(node: NodeId, trouble: str) -> Condition:
    """A supernode lacks what the others' logs have no more, and cannot take it otherwise."""
    summary = f"the ledger of {node} is behind, and {trouble}"
    return Condition(kinds.LEDGER_BEHIND, node, summary, holds=bool(trouble))


def ledger_not_admitted(node: NodeId, incarnation: str, *, admitted: bool) -> Condition:
    """It follows, but has no part: it began again with another ledger, or was dismissed."""
    summary = (
        f"{node} follows the ledger as {incarnation}, which is none of its supernodes: stop it,"
        f" or admit it: nm-bus supernode add {node} --incarnation {incarnation}"
    )
    return Condition(kinds.LEDGER_NOT_ADMITTED, node, summary, holds=not admitted)


def ledger_peer_ignored(node: NodeId, peer: NodeId, why: str) -> Condition:
    """Nothing is agreed with a peer."""
    summary = f"{node} ignores {peer} in the ledger: {why}"
    return Condition(kinds.LEDGER_PEER_IGNORED, peer, summary, node)


def ledger_clock(node: NodeId, left_out: Collection[NodeId], ahead: int) -> Condition:
    """What a supernode's batch does not hold: a change by each of `left_out`, stamped over `ahead`
    seconds in the future. Its own supernode proposes it, but later."""
    stamped = ", ".join(sorted(set(left_out)))
    summary = (
        f"{node} leaves out {len(left_out)} changes that {stamped} stamped over {ahead} s ahead of"
        " its clock: set the clocks of both"
    )
    return Condition(kinds.LEDGER_CLOCK, node, summary, holds=bool(left_out))


def ledger_forked(
    node: NodeId, peer: NodeId, revision: int, heads: tuple[str, str], evidence: dict[str, str]
) -> Condition:
    """Two heads for one revision, of `node` and `peer`: the same condition at both.

    `evidence` is what the peer signed, so that it can be judged with the peer's certificate.
    """
    one, other = sorted((node, peer))
    summary = (
        f"{one} and {other} have different ledgers: at revision {revision} the head is"
        f" {heads[0][:12]} at {node}, {heads[1][:12]} at {peer}"
    )
    what = f"{other}.{revision}"
    return Condition(kinds.LEDGER_FORKED, one, summary, what, details=evidence)

"""What an overview says of the ledger: how far supernodes and members are, and whether they agree.

Pure: it reads a picture that was fetched. What is to be done about it is not decided here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec

from nm_bus.client.federation.picture import HEALTHY, Picture, health_counts, worst_check
from nm_bus.core.ledger.voters import node_of, voter_id
from nm_bus.messages import (
    CheckStatus,
    FeedNumbers,
    Health,
    MemberView,
    NodeId,
    Running,
    Severity,
    Standing,
    VoterId,
)

NONE, RUNNING, BEHIND = "none", "running", "behind"
SHORT = 8
"""So many letters of a head are shown; who compares all of them uses `nm-bus fsck`."""


def standings(picture: Picture) -> dict[NodeId, Standing]:
    """Each supernode's ledger by its own last word; those without one are left out."""
    told = {view.node: view.state and view.state.ledger for view in picture.supernodes}
    return {node: standing for node, standing in told.items() if standing}


def newest(picture: Picture) -> Standing | None:
    """The ledger that is furthest; None when no supernode has one."""
    return max(standings(picture).values(), key=_place, default=None)


def _place(standing: Standing) -> tuple[int, int]:
    return standing.epoch, standing.revision


@dataclass(frozen=True, slots=True)
class Votes:
    """Who may vote by the newest ledger that is known, and how many of them can now."""

    voters: frozenset[VoterId]
    standbys: frozenset[VoterId]
    able: int

    @property
    def needed(self) -> int:
        """So many must vote for a change to be agreed."""
        return len(self.voters) // 2 + 1

    def role(self, node: NodeId) -> str:
        """`voter`, `standby`, or `none`: the supernode was removed, or not admitted yet."""
        for role, some in (("voter", self.voters), ("standby", self.standbys)):
            if node in map(node_of, some):
                return role
        return "none"


def votes_of(picture: Picture) -> Votes | None:
    """How it stands with the votes; None when no supernode has a ledger."""
    furthest = newest(picture)
    if furthest is None:
        return None
    alive = {view.node for view in picture.supernodes if view.health is Health.ALIVE}
    running = {
        voter_id(node, standing.incarnation)
        for node, standing in standings(picture).items()
        if standing.state == RUNNING and node in alive
    }
    voters = frozenset(furthest.voters)
    return Votes(voters, frozenset(furthest.standbys), len(voters & running))


def forks(picture: Picture) -> Iterator[tuple[Standing, Standing]]:
    """Supernodes that have different heads for one revision: each with the first of them."""
    first: dict[tuple[int, int], Standing] = {}
    for standing in standings(picture).values():
        other = first.setdefault(_place(standing), standing)
        if other.head != standing.head:
            yield other, standing


def members_behind(picture: Picture, feeds: FeedNumbers | None = None) -> list[MemberView]:
    """The members that are heard, and have less of a feed that they live by than `feeds` say, or
    than who answered has. What they do not live by, nobody expects them to have."""
    there = feeds or picture.feeds
    return [
        view
        for view in picture.members
        if view.state.health is Health.ALIVE and there and _is_behind(view.state.running, there)
    ]


def _is_behind(running: Running | None, there: FeedNumbers) -> bool:
    return running is not None and any(
        (each.epoch, each.number) < (there.epoch, there.numbers.get(each.feed, 0))
        for each in running.feeds
    )


def members_in_trouble(picture: Picture) -> dict[NodeId, dict[str, str]]:
    """What members tell to have gone wrong with documents, or with following the ledger."""
    return {
        view.state.node: view.state.running.troubles
        for view in picture.members
        if view.state.running is not None and view.state.running.troubles
    }


def in_words(standing: Standing | None) -> str:
    """`812 3fa95c12`; a state other than running comes first, with its reason."""
    if standing is None:
        return NONE
    place = f"{standing.revision} {standing.head[:SHORT]}".rstrip()
    if standing.state == RUNNING:
        return place
    if standing.reason:
        return f"{standing.state} at {place}: {standing.reason}"
    return f"{standing.state} at {place}"


def ledger_data(picture: Picture) -> dict[str, Any] | None:
    """The ledger as the whole federation has it; None when no supernode has one."""
    furthest = newest(picture)
    if furthest is None:
        return None
    late = members_behind(picture)
    return {
        "epoch": furthest.epoch,
        "revision": furthest.revision,
        "head": furthest.head,
        "supernodes": {
            view.node: _data(view.state.ledger if view.state else None)
            for view in picture.supernodes
        },
        "votes": _votes(picture),
        "forked": [[one.node, other.node] for one, other in forks(picture)],
        "members_behind": [view.state.node for view in late],
        "members_in_trouble": members_in_trouble(picture),
    }


def _votes(picture: Picture) -> dict[str, Any] | None:
    found = votes_of(picture)
    if found is None:
        return None
    roles = {view.node: found.role(view.node) for view in picture.supernodes}
    return {
        "voters": len(found.voters),
        "able": found.able,
        "needed": found.needed,
        "roles": roles,
    }


def _data(standing: Standing | None) -> dict[str, Any]:
    if standing is None:
        return {"state": NONE}
    told = ("state", "reason", "epoch", "revision", "head", "pending")
    return {name: getattr(standing, name) for name in told}


# --- How the federation does, in one word and a few more. Pure.


class Grade(IntEnum):
    """How the federation does: the exit codes of a Nagios plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


def counted(count: int, noun: str) -> str:
    """`1 member`, `2 members`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def verdict(picture: Picture) -> tuple[Grade, str]:
    """How it does, and why in a few words."""
    reasons = _reasons(picture)
    worst = max((level for level, _ in reasons), default=Grade.OK)
    fine = ", ".join(
        (counted(len(picture.supernodes), "supernode"), counted(len(picture.members), "member"))
    )
    unsure = sum(worst_check(view.state) is CheckStatus.UNKNOWN for view in picture.members)
    if unsure:
        fine += f" ({unsure} with an unknown check)"
    return worst, ", ".join(text for level, text in reasons if level == worst) or fine


def _reasons(picture: Picture) -> list[tuple[Grade, str]]:
    counts = health_counts(picture)
    votes = votes_of(picture)
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
        (Grade.CRITICAL, counts.get(Health.DOWN, 0), "member", "down"),
        (Grade.CRITICAL, len(critical), "critical alert", ""),
        (Grade.CRITICAL, len(troubled), "supernode", "in trouble"),
        (Grade.WARNING, counts.get(Health.UNKNOWN, 0), "member", "unknown"),
        (Grade.WARNING, counts.get(Health.LATE, 0), "member", "late"),
        (Grade.WARNING, len(warning), "warning", ""),
        (Grade.WARNING, len(links), "link", "in trouble"),
    )
    stuck = [(Grade.CRITICAL, _stuck(votes))] if votes and votes.able < votes.needed else []
    return stuck + [
        (level, f"{counted(count, noun)} {what}".rstrip())
        for level, count, noun, what in found
        if count
    ]


def _stuck(votes: Votes) -> str:
    return (
        f"no change can be agreed: {votes.able} of {counted(len(votes.voters), 'voter')} can vote"
    )


def as_data(picture: Picture) -> dict[str, Any]:
    """The picture as plain values, with the counts that people count on and its ledger."""
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
        "ledger": ledger_data(picture),
    }

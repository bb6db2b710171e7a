"""How the federation does, in one word and a few more. Pure."""

from enum import IntEnum
from typing import Any

import msgspec

from nm_bus.client.federation.picture import HEALTHY, Picture, health_counts, worst_check
from nm_bus.client.federation.standings import Votes
from nm_bus.client.federation.standings import as_data as ledger_data
from nm_bus.client.federation.standings import votes as votes_of
from nm_bus.messages import CheckStatus, Health, Severity


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

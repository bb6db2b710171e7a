"""Who is alive: a member's health from what was heard of it and what the path is worth.

Pure. The rule that matters: `down` is said only of silence on a path that is proven to work;
every other silence is `unknown`, with the reason.
"""

from typing import NamedTuple

from nm_bus.core.pipe import Pipe
from nm_bus.messages import Health, Seconds

LATE_AFTER = 1.5
"""Intervals of silence after which a member is late: one lost heartbeat and some jitter."""

DOWN_AFTER = 3.0
"""Intervals of proven silence after which a member is down."""


TWO_AGENTS = "two agents run as this node; stop one of them"
"""Why the messages of a node that was cloned are refused."""


class Evidence(NamedTuple):
    """What is known of one member."""

    heard: Seconds
    interval: Seconds
    leaving: bool = False
    connection_lost: str = ""
    refused: str = ""


class HealthVerdict(NamedTuple):
    """A health with its reason; the reason is empty when alive."""

    health: Health
    reason: str = ""


def judge(evidence: Evidence, pipe: Pipe, before: Health, now: Seconds) -> HealthVerdict:
    """Judge a member; `before` is its last health, since a proven `down` outlasts later doubt."""
    if evidence.leaving:
        return HealthVerdict(Health.LEFT, "it said goodbye")
    age = now - evidence.heard
    if evidence.refused:
        return HealthVerdict(Health.UNKNOWN, f"its messages are refused: {evidence.refused}")
    if age < LATE_AFTER * evidence.interval and not evidence.connection_lost:
        return HealthVerdict(Health.ALIVE)
    return _silent(evidence, pipe, before, now)


def _silent(evidence: Evidence, pipe: Pipe, before: Health, now: Seconds) -> HealthVerdict:
    down_after = DOWN_AFTER * evidence.interval
    if pipe.silence(evidence.heard, now) >= down_after or before is Health.DOWN:
        return HealthVerdict(
            Health.DOWN, evidence.connection_lost or f"silent for {down_after:g} s"
        )
    if doubt := pipe.doubt(now):
        return HealthVerdict(Health.UNKNOWN, doubt)
    if pipe.proven_since is not None and evidence.heard < pipe.proven_since:
        return HealthVerdict(Health.UNKNOWN, "not heard yet since its path works again")
    late_after = LATE_AFTER * evidence.interval
    return HealthVerdict(Health.LATE, evidence.connection_lost or f"silent for {late_after:g} s")

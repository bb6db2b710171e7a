"""Who is alive: a table of what was heard, what the path is worth, and the verdict."""

import pytest

from nm_bus.core.health import Evidence, judge
from nm_bus.core.pipe import Pipe
from nm_bus.messages import Health

NOW = 1_000.0


def path(frontier: float = NOW - 0.1, since: float = 0.0, trouble: str = "") -> Pipe:
    pipe = Pipe("heartbeat.0", limit=3.0, frontier=frontier, proven_since=since)
    pipe.troubled(trouble)
    return pipe


WORKS = path()
STUCK = path(frontier=NOW - 60)
BLOCKED = path(trouble="blocked: memory alarm")
JUST_BACK = path(since=NOW - 2)


def evidence(silent: float, **more: object) -> Evidence:
    return Evidence(heard=NOW - silent, interval=5.0)._replace(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("silent", "pipe", "before", "expected"),
    [
        (0, WORKS, Health.UNKNOWN, Health.ALIVE),
        (7.4, WORKS, Health.ALIVE, Health.ALIVE),
        (7.6, WORKS, Health.ALIVE, Health.LATE),
        (15.0, WORKS, Health.LATE, Health.LATE),
        (15.2, WORKS, Health.LATE, Health.DOWN),
        (9_000, WORKS, Health.ALIVE, Health.DOWN),
        (7.4, STUCK, Health.ALIVE, Health.ALIVE),
        (60, STUCK, Health.ALIVE, Health.UNKNOWN),
        (60, BLOCKED, Health.LATE, Health.UNKNOWN),
        (60, BLOCKED, Health.DOWN, Health.DOWN),
        (60, JUST_BACK, Health.UNKNOWN, Health.UNKNOWN),
        (60, JUST_BACK, Health.DOWN, Health.DOWN),
        (1, JUST_BACK, Health.UNKNOWN, Health.ALIVE),
    ],
)
def test_the_verdict(silent: float, pipe: Pipe, before: Health, expected: Health) -> None:
    assert judge(evidence(silent), pipe, before, NOW).health is expected


def test_a_lost_connection_is_late_at_once_and_never_down_by_itself() -> None:
    verdict = judge(evidence(0.2, connection_lost="connection lost"), WORKS, Health.ALIVE, NOW)
    assert verdict == (Health.LATE, "connection lost")


def test_a_lost_connection_is_the_reason_of_a_down() -> None:
    verdict = judge(evidence(20, connection_lost="connection lost"), WORKS, Health.LATE, NOW)
    assert verdict == (Health.DOWN, "connection lost")


def test_a_lost_connection_to_a_stuck_broker_is_unknown() -> None:
    verdict = judge(evidence(20, connection_lost="connection lost"), STUCK, Health.LATE, NOW)
    assert verdict.health is Health.UNKNOWN


def test_who_said_goodbye_has_left_however_long_ago() -> None:
    assert judge(evidence(9_000, leaving=True), WORKS, Health.ALIVE, NOW).health is Health.LEFT


def test_who_is_not_understood_lives_but_is_unknown() -> None:
    verdict = judge(evidence(1, refused="far-future"), WORKS, Health.ALIVE, NOW)
    assert verdict.health is Health.UNKNOWN
    assert "far-future" in verdict.reason


@pytest.mark.parametrize("pipe", [STUCK, BLOCKED, JUST_BACK])
def test_unknown_always_has_its_reason(pipe: Pipe) -> None:
    assert judge(evidence(60), pipe, Health.ALIVE, NOW).reason

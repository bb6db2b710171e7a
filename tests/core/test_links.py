"""The audit of links: what counts as moving, what is wedged, and when a restart is asked for."""

import pytest

from nm_bus.core.links import (
    LinkAudit,
    LinkHealth,
    LinkLimits,
    LinkSeen,
    LinkVerdict,
    RestartLink,
    ShovelState,
    judge,
    limits_for,
    restart_pause,
)
from nm_bus.settings import PRESETS, Timing

LIMITS = LinkLimits(unheard=6, stalled=20, first=10, most=80)
RUNNING, STARTING = ShovelState.RUNNING, ShovelState.STARTING
TERMINATED, MISSING = ShovelState.TERMINATED, ShovelState.MISSING


def audit() -> LinkAudit:
    return LinkAudit(LIMITS, jitter=lambda: 0.5)


def restarts(link: LinkAudit, seen: LinkSeen, until: int) -> list[int]:
    """The seconds at which a restart is asked for while one and the same thing is seen."""
    return [now for now in range(until) if link.observe(seen, now)[1]]


@pytest.mark.parametrize(
    ("seen", "still", "unheard", "health"),
    [
        (LinkSeen(RUNNING), 0, 0, LinkHealth.RUNNING),
        (LinkSeen(RUNNING, ready=9, unacked=9), 19, 0, LinkHealth.RUNNING),
        (LinkSeen(RUNNING, unacked=1), 20, 0, LinkHealth.WEDGED),
        (LinkSeen(RUNNING, ready=1), 20, 0, LinkHealth.WEDGED),
        (LinkSeen(RUNNING, unacked=1), 20, 99, LinkHealth.WEDGED),
        (LinkSeen(RUNNING), 0, 5.9, LinkHealth.RUNNING),
        (LinkSeen(RUNNING), 0, 6, LinkHealth.SILENT),
        (LinkSeen(ShovelState.BLOCKED, unacked=9), 99, 99, LinkHealth.BLOCKED),
        (LinkSeen(STARTING), 0, 0, LinkHealth.STARTING),
        (LinkSeen(STARTING), 99, 99, LinkHealth.STARTING),
        (LinkSeen(TERMINATED), 0, 0, LinkHealth.TERMINATED),
        (LinkSeen(MISSING), 0, 0, LinkHealth.MISSING),
    ],
)
def test_the_verdict_follows_from_what_moved_and_what_was_heard(
    seen: LinkSeen, still: float, unheard: float, health: LinkHealth
) -> None:
    assert judge(seen, still, unheard, LIMITS).health is health


def test_a_verdict_that_is_not_running_says_why_in_a_sentence() -> None:
    seen = LinkSeen(TERMINATED, reason="CONNECTION_FORCED")
    expected = LinkVerdict(LinkHealth.TERMINATED, "not connected for 7 s: CONNECTION_FORCED")
    assert judge(seen, 7, 0, LIMITS) == expected


def test_a_missing_shovel_is_made_anew_at_once_and_then_with_growing_pauses() -> None:
    assert restarts(audit(), LinkSeen(MISSING), 240) == [0, 10, 30, 70, 150, 230]


def test_a_running_shovel_whose_messages_stay_unacknowledged_is_restarted() -> None:
    link = audit()
    wedged = LinkSeen(RUNNING, unacked=3, acked=5)
    assert restarts(link, wedged, 20) == []
    verdict, effects = link.observe(wedged, 20)
    assert verdict.health is LinkHealth.WEDGED
    assert effects == (RestartLink("3 messages wait and none crossed for 20 s"),)


def test_a_shovel_that_flaps_without_moving_anything_is_wedged_all_the_same() -> None:
    link = audit()
    asked = []
    for now in range(30):
        state = (RUNNING, TERMINATED, STARTING)[now % 3]
        asked += [now] * len(link.observe(LinkSeen(state, unacked=2, acked=7), now)[1])
    assert asked == [20]


def test_a_counter_that_changes_is_movement_even_when_it_starts_again() -> None:
    link = audit()
    for now in range(100):
        acked = 1_000 + now if now < 50 else now - 50
        verdict, effects = link.observe(LinkSeen(RUNNING, ready=9, acked=acked, heard=now), now)
        assert (verdict.health, effects) == (LinkHealth.RUNNING, ())


def test_a_canary_that_was_heard_is_proof_although_the_counters_lag() -> None:
    link = audit()
    for now in range(100):
        verdict, effects = link.observe(LinkSeen(RUNNING, unacked=1, heard=now - 2), now)
        assert (verdict.health, effects) == (LinkHealth.RUNNING, ())


def test_an_idle_link_does_not_age() -> None:
    link = audit()
    for now in range(100):
        link.observe(LinkSeen(RUNNING, heard=now), now)
    assert link.observe(LinkSeen(RUNNING, unacked=1, heard=98), 100)[0].health is LinkHealth.RUNNING


def test_a_silent_link_is_told_but_not_restarted() -> None:
    link = audit()
    assert restarts(link, LinkSeen(RUNNING), 200) == []
    assert link.observe(LinkSeen(RUNNING), 200)[0].health is LinkHealth.SILENT


def test_a_blocked_destination_is_left_in_peace() -> None:
    assert restarts(audit(), LinkSeen(ShovelState.BLOCKED, unacked=9), 200) == []


def test_a_destination_that_is_away_is_given_time_to_come_back() -> None:
    assert restarts(audit(), LinkSeen(STARTING), 60) == [20, 30, 50]


def test_a_link_that_has_just_come_back_is_given_time_to_move() -> None:
    link = audit()
    for now in range(15):
        link.observe(LinkSeen(STARTING, ready=9), now)
    backlog = LinkSeen(RUNNING, ready=9)
    assert [now for now in range(15, 40) if link.observe(backlog, now)[1]] == [35]


def test_pauses_between_restarts_begin_anew_after_the_link_ran() -> None:
    link = audit()
    assert restarts(link, LinkSeen(MISSING), 71) == [0, 10, 30, 70]
    for now in range(71, 160):
        link.observe(LinkSeen(RUNNING, heard=now), now)
    assert link.observe(LinkSeen(MISSING), 160)[1]
    assert link.observe(LinkSeen(MISSING), 170)[1]


def test_a_moment_of_running_does_not_shorten_the_pauses() -> None:
    link = audit()
    assert restarts(link, LinkSeen(MISSING), 31) == [0, 10, 30]
    link.observe(LinkSeen(RUNNING, heard=31), 31)
    assert [now for now in range(32, 100) if link.observe(LinkSeen(MISSING), now)[1]] == [70]


@pytest.mark.parametrize(
    ("jitter", "pauses"), [(0.0, [7.5, 15, 30, 60, 60]), (1.0, [12.5, 25, 50, 100, 100])]
)
def test_pauses_are_bounded_and_spread(jitter: float, pauses: list[float]) -> None:
    assert [restart_pause(n, LIMITS, jitter) for n in range(5)] == pauses
    assert restart_pause(10_000, LIMITS, jitter) == pauses[-1]


@pytest.mark.parametrize("timing", PRESETS.values(), ids=PRESETS.keys())
def test_nobody_intervenes_before_a_shovel_can_notice_by_itself(timing: Timing) -> None:
    assert limits_for(timing).stalled > 2.5 * timing.amqp_heartbeat

"""What is wrong, from a view: who speaks for it, and what nobody can know."""

import pytest

from nm_bus.core.alerts.conditions import (
    Condition,
    broker_trouble,
    check_conditions,
    link_trouble,
    member_conditions,
    quarantine_growing,
    supernode_silent,
)
from nm_bus.core.health import TWO_AGENTS
from nm_bus.core.links import LinkHealth
from nm_bus.core.view import View
from nm_bus.messages import (
    BrokerState,
    Check,
    CheckStatus,
    Health,
    LinkState,
    MemberState,
    MemberView,
    Supernode,
)

HERE, SECOND, THIRD = "sn1.example", "sn2.example", "sn3.example"


def member(health: Health, *checks: Check) -> MemberView:
    return MemberView(HERE, 0.0, MemberState("n1", health, checks=checks))


def by_key(conditions: list[Condition]) -> dict[str, bool | None]:
    return {condition.key: condition.holds for condition in conditions}


@pytest.mark.parametrize(
    ("health", "holds"),
    [
        (Health.ALIVE, False),
        (Health.LATE, None),
        (Health.DOWN, True),
        (Health.UNKNOWN, None),
        (Health.LEFT, False),
    ],
)
def test_only_a_proven_down_is_an_alert_and_doubt_changes_nothing(
    health: Health, holds: bool | None
) -> None:
    told = by_key(list(member_conditions(member(health))))
    assert told.get("member-down:n1", False) is holds


@pytest.mark.parametrize(
    ("health", "status", "critical", "warning"),
    [
        (Health.ALIVE, CheckStatus.CRITICAL, True, False),
        (Health.ALIVE, CheckStatus.WARNING, False, True),
        (Health.ALIVE, CheckStatus.OK, False, False),
        (Health.DOWN, CheckStatus.CRITICAL, None, None),
        (Health.UNKNOWN, CheckStatus.OK, None, None),
        (Health.LEFT, CheckStatus.CRITICAL, False, False),
    ],
)
def test_a_check_is_known_only_while_its_node_is_heard(
    health: Health, status: CheckStatus, critical: bool | None, warning: bool | None
) -> None:
    told = by_key(list(check_conditions("n1", Check("disk", status), health)))
    assert told.get("check-critical:n1:disk", False) is critical
    assert told.get("check-warning:n1:disk", False) is warning


def federation(*heard: str, now: float = 100.0) -> View:
    view = View(HERE, limit=10.0)
    for node in (HERE, SECOND, THIRD):
        view.expect(node, 0.0)
        view.heard(node, now if node in (HERE, *heard) else 1.0)
    return view


def test_who_is_deaf_calls_nobody_silent() -> None:
    view = federation()
    assert supernode_silent(view, THIRD, now=100.0, deaf=True).holds is None
    link = LinkState(SECOND, HERE, "bulk", LinkHealth.SILENT)
    assert link_trouble(federation(SECOND), link, now=100.0, deaf=True).holds is None


def test_who_was_deaf_still_takes_back_what_is_over() -> None:
    assert supernode_silent(federation(THIRD), THIRD, now=100.0, deaf=True).holds is False


def test_a_supernode_that_another_one_hears_is_not_silent_but_its_link_is_in_trouble() -> None:
    view = federation(SECOND)
    hears = LinkState(THIRD, SECOND, "control", LinkHealth.RUNNING)
    view.described(
        Supernode(SECOND, "i", 1, 0.0, 0.0, "x", BrokerState("up"), incoming=(hears,)), now=100.0
    )
    assert supernode_silent(view, THIRD, now=100.0).holds is False
    link = LinkState(THIRD, HERE, "control", LinkHealth.SILENT, "no canary came for over 6 s")
    assert link_trouble(view, link, now=100.0).holds is True


def test_a_link_from_a_supernode_that_nobody_hears_says_nothing_of_its_own() -> None:
    link = LinkState(THIRD, HERE, "control", LinkHealth.SILENT)
    assert link_trouble(federation(SECOND), link, now=100.0).holds is None


def test_a_supernode_that_had_no_time_to_speak_raises_nothing() -> None:
    view = View(HERE, limit=10.0)
    view.expect(SECOND, 0.0)
    assert supernode_silent(view, SECOND, now=5.0).holds is None
    assert supernode_silent(view, SECOND, now=15.0).holds is True


@pytest.mark.parametrize(
    ("state", "holds"), [("up", False), ("starting", False), ("blocked", True), ("down", True)]
)
def test_a_broker_that_is_blocked_or_gone_is_a_trouble(state: str, holds: bool) -> None:
    assert broker_trouble(HERE, BrokerState(state, "memory alarm")).holds is holds


def test_quarantine_grows_until_it_has_been_quiet_for_a_minute() -> None:
    assert quarantine_growing(HERE, None, now=100.0).holds is False
    assert quarantine_growing(HERE, 90.0, now=100.0).holds is True
    assert quarantine_growing(HERE, 30.0, now=100.0).holds is False


def test_a_healthy_member_has_no_condition() -> None:
    assert list(member_conditions(member(Health.ALIVE, Check("disk", CheckStatus.OK)))) == []


def test_a_cloned_node_is_an_alert() -> None:
    state = MemberState("n1", Health.UNKNOWN, reason=f"its messages are refused: {TWO_AGENTS}")
    found = by_key(list(member_conditions(MemberView(HERE, 0.0, state))))
    assert found["member-cloned:n1"] is True


def test_that_nothing_is_known_of_a_cloned_node_does_not_end_its_alert() -> None:
    state = MemberState("n1", Health.UNKNOWN, reason="no word from its supernode")
    found = by_key(list(member_conditions(MemberView(HERE, 0.0, state))))
    assert found["member-cloned:n1"] is None

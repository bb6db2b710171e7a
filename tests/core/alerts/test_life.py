"""The life of alerts: raised once, resolved once, one id, whoever watches and whoever restarts."""

import sys
from collections.abc import Callable

import msgspec
import pytest

from nm_bus.core.alerts.conditions import Condition
from nm_bus.core.alerts.kinds import MEMBER_DOWN, About, AlertKind, Scope
from nm_bus.core.alerts.life import Alerts, key_of
from nm_bus.messages import Alert, AlertState, Severity

HERE, THERE = "sn1.example", "sn2.example"
N1, N2 = Scope(About.MEMBER, "n1"), Scope(About.MEMBER, "n2")
PATIENT = AlertKind("check-critical", About.MEMBER, Severity.CRITICAL, "", "", patience=5.0)


def down(node: str = "n1", *, holds: bool | None = True) -> Condition:
    return Condition(MEMBER_DOWN, node, "x", holds=holds)


def check(what: str, *, holds: bool | None = True) -> Condition:
    return Condition(PATIENT, "n1", "x", what, holds=holds)


def raised(alerts: Alerts, now: float, condition: Condition | None = None) -> Alert:
    (alert,) = alerts.report(N1, [condition or down()], now)
    return alert


def states(alerts: list[Alert]) -> list[AlertState]:
    return [alert.state for alert in alerts]


def test_a_condition_is_raised_once_and_resolved_once_under_one_id() -> None:
    alerts = Alerts(HERE)
    first = raised(alerts, 1.0)
    assert alerts.report(N1, [down()], 2.0) == []
    (over,) = alerts.report(N1, [down(holds=False)], 3.0)
    assert alerts.report(N1, [down(holds=False)], 4.0) == []
    assert states([first, over]) == [AlertState.RAISED, AlertState.RESOLVED]
    assert first.alert == over.alert
    assert (first.number, over.number) == (1, 2)
    assert (over.raised, over.changed) == (1.0, 3.0)


def test_the_same_trouble_a_second_time_is_another_alert() -> None:
    alerts = Alerts(HERE)
    first = raised(alerts, 1.0)
    alerts.report(N1, [], 2.0)
    assert first.alert != raised(alerts, 3.0).alert


def test_what_cannot_be_known_neither_raises_nor_resolves() -> None:
    alerts = Alerts(HERE)
    assert alerts.report(N1, [down(holds=None)], 1.0) == []
    raised(alerts, 2.0)
    assert alerts.report(N1, [down(holds=None)], 3.0) == []
    assert len(alerts.active) == 1


def test_patience_waits_and_starts_again_when_the_trouble_pauses() -> None:
    alerts = Alerts(HERE)
    assert alerts.report(N1, [check("disk")], 0.0) == []
    assert alerts.next_due == 5.0
    assert alerts.report(N1, [], 4.0) == []
    assert alerts.tick(5.0) == []
    assert alerts.report(N1, [check("disk")], 6.0) == []
    assert alerts.report(N1, [check("disk")], 10.0) == []
    assert alerts.tick(10.9) == []
    assert states(alerts.tick(11.0)) == [AlertState.RAISED]
    assert alerts.next_due is None


def test_what_cannot_be_known_starts_patience_again() -> None:
    alerts = Alerts(HERE)
    alerts.report(N1, [check("disk")], 0.0)
    alerts.report(N1, [check("disk", holds=None)], 4.0)
    assert alerts.tick(60.0) == []


def test_a_condition_that_comes_and_goes_for_long_leaves_nothing_behind() -> None:
    alerts = Alerts(HERE)
    for number in range(10_000):
        alerts.report(N1, [check("disk")], number / 10_000)
        alerts.report(N1, [], number / 10_000)
    assert len(alerts._due) < 200
    assert not alerts.concerns(N1)


def test_a_condition_that_is_not_named_any_more_is_over_whoever_raised_it() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    alert = raised(there, 1.0)
    here.learn(alert)
    (over,) = here.report(N1, [], 2.0)
    assert (over.alert, over.state, over.origin) == (alert.alert, AlertState.RESOLVED, HERE)


def test_a_report_says_nothing_of_other_scopes() -> None:
    alerts = Alerts(HERE)
    raised(alerts, 1.0)
    assert alerts.report(N2, [], 2.0) == []
    assert len(alerts.active) == 1


def test_a_condition_that_moves_to_another_scope_goes_on_waiting_there() -> None:
    alerts, other = Alerts(HERE), Scope(About.LINKS, HERE)
    alerts.report(other, [check("disk")], 0.0)
    alerts.report(N1, [check("disk")], 3.0)
    assert alerts.report(other, [], 4.0) == []
    assert states(alerts.tick(5.0)) == [AlertState.RAISED]
    assert not alerts.concerns(other)


def test_after_a_restart_nothing_is_over_before_it_is_reported() -> None:
    alert = raised(Alerts(HERE), 1.0)
    again = Alerts(HERE, {key_of(alert): alert})
    assert again.take_unsettled() == [N1]
    assert again.tick(2.0) == []
    assert again.report(N1, [down()], 3.0) == []
    assert [each.alert for each in again.report(N1, [], 4.0)] == [alert.alert]


def test_one_that_is_not_responsible_any_more_says_nothing() -> None:
    alerts = Alerts(HERE)
    raised(alerts, 1.0)
    alerts.report(N1, [down(), check("disk")], 1.0)
    alerts.withdraw(N1)
    assert alerts.tick(60.0) == []
    assert len(alerts.active) == 1


def test_an_alert_learnt_from_a_peer_is_not_raised_again() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    assert here.learn(raised(there, 1.0)) is None
    assert here.report(N1, [down()], 2.0) == []


def test_a_resolution_that_is_learnt_ends_the_alert() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    here.learn(raised(there, 1.0))
    here.learn(there.report(N1, [], 2.0)[0])
    assert here.active == {}
    assert not here.concerns(N1)


def test_a_scope_of_which_something_was_learnt_is_to_be_reported_again() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    here.learn(raised(there, 1.0))
    assert here.take_unsettled() == [N1]
    assert here.take_unsettled() == []
    here.learn(there.report(N1, [], 2.0)[0])
    assert here.take_unsettled() == [N1], "if it holds here, it is raised again"


@pytest.mark.parametrize("order", [(0, 1, 0), (1, 0, 0), (1, 1, 0), (0, 0, 1)])
def test_transitions_out_of_order_and_repeated_end_the_same(order: tuple[int, ...]) -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    told = [raised(there, 1.0), *there.report(N1, [], 2.0)]
    for number in order:
        here.learn(told[number])
        assert there.learn(told[number]) is None
    assert here.active == there.active == {}


def test_a_number_that_is_not_higher_changes_nothing() -> None:
    here, first = Alerts(HERE), raised(Alerts(THERE), 1.0)
    later = msgspec.structs.replace(first, number=3, state=AlertState.ACKNOWLEDGED)
    early = msgspec.structs.replace(first, number=2, state=AlertState.SILENCED)
    for alert in (first, later, early, first):
        here.learn(alert)
    assert list(here.active.values()) == [later]
    assert here.report(N1, [], 2.0)[0].number == 4


def test_of_two_alerts_for_one_trouble_the_older_stays_and_the_other_is_resolved() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    older, newer = raised(there, 1.0), raised(here, 2.0)
    assert there.learn(newer) is None
    ended = here.learn(older)
    assert ended is not None
    assert (ended.alert, ended.state) == (newer.alert, AlertState.RESOLVED)
    assert here.active == there.active == {key_of(older): older}


def test_each_check_of_a_node_is_a_condition_of_its_own() -> None:
    alerts = Alerts(HERE)
    alerts.report(N1, [check("disk"), check("load")], 1.0)
    assert [alert.what for alert in alerts.tick(6.0)] == ["disk", "load"]
    assert [alert.what for alert in alerts.report(N1, [check("disk")], 7.0)] == ["load"]


def calls(work: Callable[[], None]) -> int:
    """How many functions are called."""
    counted = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def storm(size: int) -> int:
    there, here = Alerts(THERE), Alerts(HERE)
    alerts = [
        alert
        for number in range(size)
        for alert in there.report(Scope(About.MEMBER, f"n{number}"), [down(f"n{number}")], 1.0)
    ]

    def learn() -> None:
        for alert in alerts:
            here.learn(alert)
        for scope in here.take_unsettled():
            here.withdraw(scope)

    return calls(learn)


def test_a_storm_of_alerts_costs_the_same_for_each_of_them() -> None:
    assert storm(5_000) < 10 * storm(500) * 1.05

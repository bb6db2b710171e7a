"""The life of alerts: raised once, resolved once, one id, whoever watches and whoever restarts."""

from nm_bus.core.alerts import Alerts, Condition, key_of
from nm_bus.messages import Alert, AlertState, Severity

HERE, THERE = "sn1.example", "sn2.example"


def condition(holds: bool | None = True, **more: object) -> Condition:
    fields = {"kind": "member-down", "subject": "n1", "severity": Severity.CRITICAL, "summary": "x"}
    return Condition(**(fields | {"holds": holds} | more))  # type: ignore[arg-type]


def states(alerts: list[Alert]) -> list[AlertState]:
    return [alert.state for alert in alerts]


def test_a_condition_is_raised_once_and_resolved_once_under_one_id() -> None:
    alerts = Alerts(HERE)
    (raised,) = alerts.tick([condition()], now=1.0)
    assert alerts.tick([condition()], now=2.0) == []
    (resolved,) = alerts.tick([condition(holds=False)], now=3.0)
    assert alerts.tick([condition(holds=False)], now=4.0) == []
    assert states([raised, resolved]) == [AlertState.RAISED, AlertState.RESOLVED]
    assert raised.alert == resolved.alert
    assert raised.transition != resolved.transition
    assert (resolved.raised, resolved.changed) == (1.0, 3.0)


def test_the_same_trouble_a_second_time_is_another_alert() -> None:
    alerts = Alerts(HERE)
    (first,) = alerts.tick([condition()], now=1.0)
    alerts.tick([], now=2.0)
    (second,) = alerts.tick([condition()], now=3.0)
    assert first.alert != second.alert


def test_what_cannot_be_known_neither_raises_nor_resolves() -> None:
    alerts = Alerts(HERE)
    assert alerts.tick([condition(holds=None)], now=1.0) == []
    alerts.tick([condition()], now=2.0)
    assert alerts.tick([condition(holds=None)], now=3.0) == []
    assert len(alerts.active) == 1


def test_patience_waits_and_starts_anew_when_the_trouble_pauses() -> None:
    alerts = Alerts(HERE)
    trouble = condition(patience=5.0)
    assert alerts.tick([trouble], now=0.0) == []
    assert alerts.tick([condition(holds=False, patience=5.0)], now=4.0) == []
    assert alerts.tick([trouble], now=6.0) == []
    assert alerts.tick([trouble], now=10.9) == []
    assert states(alerts.tick([trouble], now=11.0)) == [AlertState.RAISED]


def test_a_condition_that_is_not_mentioned_any_more_is_over() -> None:
    alerts = Alerts(HERE)
    alerts.tick([condition()], now=1.0)
    assert states(alerts.tick([], now=2.0)) == [AlertState.RESOLVED]


def test_after_a_start_nothing_is_over_before_everybody_has_spoken() -> None:
    first = Alerts(HERE)
    first.tick([condition()], now=1.0)
    again = Alerts(HERE, dict(first.active))
    assert again.tick([], now=2.0, complete=False) == []
    assert again.tick([condition()], now=3.0, complete=False) == []
    assert states(again.tick([], now=4.0)) == [AlertState.RESOLVED]


def test_who_is_not_responsible_says_nothing() -> None:
    alerts = Alerts(HERE)
    assert alerts.tick([condition(mine=False)], now=1.0) == []


def test_an_alert_learnt_from_a_peer_is_not_raised_again_and_not_resolved_for_it() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    (raised,) = there.tick([condition()], now=1.0)
    assert here.learn(raised) == []
    assert here.tick([condition()], now=2.0) == []
    assert here.tick([], now=3.0) == []


def test_who_becomes_responsible_resolves_under_the_same_id() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    (raised,) = there.tick([condition()], now=1.0)
    here.learn(raised)
    (resolved,) = here.tick([condition(holds=False)], now=2.0)
    assert (resolved.alert, resolved.origin) == (raised.alert, HERE)


def test_a_resolution_that_is_learnt_ends_the_alert() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    here.learn(there.tick([condition()], now=1.0)[0])
    here.learn(there.tick([], now=2.0)[0])
    assert here.active == {}


def test_a_raise_that_comes_after_its_resolution_brings_nothing_back() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    (raised,) = there.tick([condition()], now=1.0)
    (resolved,) = there.tick([], now=2.0)
    for alert in (raised, resolved, raised):
        here.learn(alert)
    assert here.active == {}
    assert there.learn(raised) == []
    assert there.active == {}


def test_of_two_alerts_for_one_trouble_the_older_stays_and_the_other_is_resolved() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    (older,) = there.tick([condition()], now=1.0)
    (newer,) = here.tick([condition()], now=2.0)
    assert there.learn(newer) == []
    (superseded,) = here.learn(older)
    assert (superseded.alert, superseded.state) == (newer.alert, AlertState.RESOLVED)
    assert here.active == there.active == {key_of(older): older}


def test_active_alerts_survive_a_restart() -> None:
    before = Alerts(HERE)
    (raised,) = before.tick([condition()], now=1.0)
    after = Alerts(HERE, dict(before.active))
    assert after.tick([condition()], now=2.0) == []
    assert after.tick([condition(holds=False)], now=3.0)[0].alert == raised.alert


def test_each_check_of_a_node_is_a_condition_of_its_own() -> None:
    alerts = Alerts(HERE)
    both = [condition(kind="check-critical", what=name) for name in ("disk", "load")]
    assert len(alerts.tick(both, now=1.0)) == 2
    assert len(alerts.tick(both[:1], now=2.0)) == 1


def test_what_a_removed_supernode_raised_ends_with_it() -> None:
    there, here = Alerts(THERE), Alerts(HERE)
    (raised,) = there.tick([condition()], now=1.0)
    here.learn(raised)
    other = condition(holds=False, mine=False)
    assert here.tick([other], now=2.0) == []
    assert here.tick([condition(holds=True)], now=3.0, orphaned={THERE}) == []
    (resolved,) = here.tick([other], now=4.0, orphaned={THERE})
    assert (resolved.alert, resolved.state) == (raised.alert, AlertState.RESOLVED)

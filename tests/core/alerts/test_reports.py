"""What is told of a view as it changes is what a look at the whole of it would tell."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from nm_bus.core.alerts.life import Alerts
from nm_bus.core.alerts.reports import ViewReports
from nm_bus.core.health import TWO_AGENTS
from nm_bus.core.view import View
from nm_bus.messages import (
    Alert,
    AlertState,
    Check,
    CheckStatus,
    Health,
    MemberState,
    NodeId,
    PipeState,
    Seconds,
    Severity,
    Statement,
)

HERE, SECOND, THIRD = SN = ("sn1.example", "sn2.example", "sn3.example")
MEMBERS = ("n1", "n2")
PIPE = PipeState("q", proven=True)


class Supernode:
    """One supernode's view, alerts and reports; `whole`: it looks at everything at each tick."""

    def __init__(self, origin: NodeId = HERE, *, whole: bool = False) -> None:
        self.whole = whole
        self.left: dict[NodeId, str] = {}
        self.view = View(origin, limit=10.0, gone=lambda node: self.left.get(node, ""))
        self.alerts = Alerts(origin)
        self.reports = ViewReports(self.view, self.alerts)
        self.inside = set(SN)
        for node in SN:
            self.view.expect(node, 0.0)
            self.view.heard(node, 0.0)

    def tick(self, now: Seconds, *, complete: bool = True) -> list[Alert]:
        self.view.heard(self.view.origin, now)
        self.view.settle(self.inside, self.inside)
        if self.whole:
            self.view.concerns_all()
            self.alerts.review()
        told = list(self.reports.tick(now, complete=complete, deaf=False))
        return [*told, *self.alerts.tick(now)]


def stated(
    view: View,
    now: Seconds,
    health: Health = Health.ALIVE,
    *,
    origin: NodeId = HERE,
    sequence: int = 1,
    checks: Iterable[Check] = (),
    heard: Seconds = 0.0,
) -> None:
    state = MemberState("n1", health, heard=heard, checks=tuple(checks))
    view.stated(Statement(origin, 0, "i", sequence, PIPE, (state,)), now)


def kinds(alerts: list[Alert]) -> list[tuple[str, AlertState]]:
    return [(alert.kind, alert.state) for alert in alerts]


DOWN, OVER = ("member-down", AlertState.RAISED), ("member-down", AlertState.RESOLVED)


def test_a_member_that_moves_is_its_new_homes_which_resolves_what_the_other_raised() -> None:
    first, second = Supernode(HERE), Supernode(SECOND)
    for each in (first, second):
        stated(each.view, 1.0, Health.DOWN, heard=5.0)
        each.view.heard(SECOND, 1.0)
    (raised,) = first.tick(1.0)
    assert second.tick(1.0) == []
    second.alerts.learn(raised)
    for each in (first, second):
        stated(each.view, 2.0, origin=SECOND)
    assert first.tick(2.0) == []
    assert kinds(second.tick(2.0)) == [OVER]


def test_an_alert_that_comes_after_its_member_moved_is_resolved_by_the_new_home() -> None:
    first, second = Supernode(HERE), Supernode(SECOND)
    stated(first.view, 1.0, Health.DOWN)
    (raised,) = first.tick(1.0)
    stated(second.view, 2.0, origin=SECOND)
    assert second.tick(2.0) == []
    second.alerts.learn(raised)
    assert kinds(second.tick(2.5)) == [OVER]


def test_a_resolution_by_another_one_does_not_hide_what_still_holds() -> None:
    first, second = Supernode(HERE), Supernode(SECOND)
    for each in (first, second):
        stated(each.view, 1.0, Health.DOWN)
    (raised,) = first.tick(1.0)
    second.alerts.learn(raised)
    stated(second.view, 2.0, origin=SECOND)
    (over,) = second.tick(2.0)
    first.alerts.learn(over)
    assert kinds(first.tick(2.5)) == [DOWN], "it has not heard yet that the member moved"


def test_after_a_start_nothing_is_over_before_everybody_has_spoken() -> None:
    before = Supernode()
    stated(before.view, 1.0, Health.DOWN)
    before.tick(1.0)
    after = Supernode()
    after.alerts = Alerts(HERE, dict(before.alerts.active))
    after.reports = ViewReports(after.view, after.alerts)
    assert after.tick(2.0, complete=False) == []
    assert kinds(after.tick(3.0)) == [OVER], "there is no such member any more"


@pytest.mark.parametrize("kind", ["member-down", "broker-trouble", "of-a-later-release"])
def test_what_a_removed_supernode_raised_ends_with_it(kind: str) -> None:
    here = Supernode()
    state, severity = AlertState.RAISED, Severity.WARNING
    alert = Alert("a", 1, state, severity, kind, "n9", "x", 1.0, 1.0, THIRD)
    here.alerts.learn(alert)
    assert here.tick(1.0) == []
    here.inside.discard(THIRD)
    assert [each.alert for each in here.tick(2.0)] == ["a"]
    assert here.alerts.active == {}


def test_a_supernode_that_is_removed_is_not_called_silent_any_more() -> None:
    here = Supernode()
    assert kinds(here.tick(30.0)) == [("supernode-silent", AlertState.RAISED)] * 2
    here.inside -= {SECOND, THIRD}
    assert kinds(here.tick(31.0)) == [("supernode-silent", AlertState.RESOLVED)] * 2


def test_a_member_whose_home_is_silent_keeps_its_alert() -> None:
    here = Supernode()
    stated(here.view, 1.0, Health.DOWN, origin=SECOND)
    second = Supernode(SECOND)
    stated(second.view, 1.0, Health.DOWN, origin=SECOND)
    here.alerts.learn(second.tick(1.0)[0])
    told = here.tick(30.0)
    assert {each.kind for each in told} == {"supernode-silent"}
    here.left["n1"] = "an administrator removed it"
    here.view.concerns("n1")
    assert kinds(here.tick(31.0)) == [OVER]


def test_nothing_is_asked_of_members_that_did_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Supernode()
    states = tuple(MemberState(f"n{n}", Health.ALIVE, heard=0.0) for n in range(1_000))
    here.view.stated(Statement(HERE, 0, "i", 1, PIPE, states), 1.0)
    here.tick(1.0)
    asked: list[NodeId] = []
    shown = View.member

    def member(view: View, node: NodeId, now: Seconds) -> object:
        asked.append(node)
        return shown(view, node, now)

    monkeypatch.setattr(View, "member", member)
    here.view.stated(Statement(HERE, 0, "i", 2, PIPE, heard=dict.fromkeys(MEMBERS, 0.1)), 2.0)
    here.view.stated(Statement(HERE, 0, "i", 3, PIPE, states, roster=("n1",)), 2.0)
    here.view.stated(
        Statement(HERE, 0, "i", 4, PIPE, (MemberState("n7", Health.DOWN, heard=9.0),)), 3.0
    )
    here.tick(3.0)
    assert asked == ["n7"]


# --- any sequence of operations

CHECKS = st.lists(
    st.builds(Check, st.sampled_from(["disk", "load"]), st.sampled_from(CheckStatus)),
    max_size=2,
    unique_by=lambda check: check.name,
).map(tuple)

STATES = st.builds(
    MemberState,
    st.sampled_from(MEMBERS),
    st.sampled_from([Health.DOWN, *Health]),
    reason=st.sampled_from(["", TWO_AGENTS]),
    heard=st.sampled_from([None, 0.0, 3.0]),
    interval=st.just(5.0),
    checks=CHECKS,
)

STATEMENTS = st.builds(
    Statement,
    st.sampled_from([HERE, HERE, SECOND]),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from(["one", "one", "one", "two"]),
    st.integers(2, 12),
    st.just(PIPE),
    st.lists(STATES, max_size=2).map(tuple),
    st.dictionaries(st.sampled_from(MEMBERS), st.sampled_from([0.0, 2.0]), max_size=2),
    st.one_of(st.none(), st.lists(st.sampled_from(MEMBERS), unique=True).map(tuple)),
)

LEFT = st.tuples(st.sampled_from(MEMBERS), st.sampled_from(["", "it left"]))
STEPS = st.one_of(
    STATEMENTS,
    STATEMENTS,
    STATEMENTS,
    STATEMENTS,
    st.sampled_from([0.5, 6.0, 11.0]),
    LEFT,
    st.frozensets(st.sampled_from(SN), min_size=1),
)


def perform(each: Supernode, step: object, number: int, now: Seconds) -> None:
    match step:
        case Statement():
            # mostly a later one than those before, and now and then a late one
            sequence = max(1, step.sequence + 2 * number)
            each.view.stated(structs.replace(step, sequence=sequence), now)
        case (str() as node, str() as how):
            each.left[node] = how
            each.view.concerns(node)
        case frozenset():
            each.inside = {HERE, *step}


def by_transition(alerts: Iterable[Alert]) -> dict[str, Alert]:
    return {alert.transition: alert for alert in alerts}


def homes(view: View) -> dict[NodeId, NodeId]:
    """Each member's home, by a look at every word of every stream."""
    found = {
        (node, word.heard or 0.0, speaker)
        for speaker, stream in view.streams.items()
        for node, word in stream.words.items()
    }
    return {node: speaker[0] for node, _, speaker in sorted(found)}


@settings(max_examples=300)
@given(st.lists(STEPS, min_size=10, max_size=40))
def test_what_is_told_step_by_step_is_what_a_look_at_the_whole_tells(steps: list[object]) -> None:
    now, part, whole = 1.0, Supernode(), Supernode(whole=True)
    for number, step in enumerate(steps):
        now += step if isinstance(step, float) else 0.5
        for each in (part, whole):
            perform(each, step, number, now)
        complete = number > 2
        told = [by_transition(each.tick(now, complete=complete)) for each in (part, whole)]
        assert told[0] == told[1]
        assert part.alerts.active == whole.alerts.active
        found = homes(part.view)
        assert {member.state.node: member.home for member in part.view.members(now)} == found
        assert {node: part.view.home(node) for node in found} == found


def test_what_a_removed_supernode_said_of_this_one_ends_with_it() -> None:
    other = Supernode(SECOND)
    for node in (SECOND, THIRD):
        other.view.heard(node, 100.0)
    other.inside = {HERE, SECOND}
    (silent,) = [a for a in other.tick(100.0) if a.subject == HERE]
    here = Supernode(HERE)
    here.inside = {HERE, SECOND}
    here.view.heard(SECOND, 101.0)
    here.alerts.learn(silent)
    assert here.tick(101.0) == [], "the one that raised it still lives"
    here.inside = {HERE}
    assert kinds(here.tick(102.0)) == [("supernode-silent", AlertState.RESOLVED)]


def restarted(before: Supernode, now: Seconds) -> Supernode:
    """Its next life, with the alerts and the words that the last one kept."""
    after = Supernode(before.view.origin)
    after.view, after.alerts = View(HERE, limit=10.0), Alerts(HERE, dict(before.alerts.active))
    after.reports = ViewReports(after.view, after.alerts)
    for speaker, stream in before.view.streams.items():
        after.view.restore(speaker, stream)
    for node in SN:
        after.view.expect(node, now)
    return after


@pytest.mark.parametrize(
    ("known", "health", "checks"),
    [
        (Health.LEFT, Health.DOWN, ()),
        (Health.ALIVE, Health.ALIVE, (Check("disk", CheckStatus.CRITICAL, "full"),)),
    ],
    ids=["down", "check"],
)
def test_after_a_start_an_old_view_ends_no_alert_of_another_home(
    known: Health, health: Health, checks: tuple[Check, ...]
) -> None:
    home, before = Supernode(SECOND), Supernode(HERE)
    stated(home.view, 50.0, health, origin=SECOND, sequence=9, checks=checks)
    told = [*home.tick(50.0), *home.tick(55.0)]
    (raised,) = [alert for alert in told if alert.subject == "n1"]
    stated(before.view, 1.0, known, origin=SECOND, sequence=1)
    before.alerts.learn(raised)
    assert restarted(before, 58.0).tick(58.0, complete=False) == []


def test_a_check_that_waited_is_raised_as_it_is_by_then() -> None:
    here = Supernode()
    stated(here.view, 1.0, sequence=1)
    here.tick(1.0)
    for sequence, (now, output) in enumerate(((2.0, "90 % full"), (6.5, "99 % full")), 2):
        checks = (Check("disk", CheckStatus.CRITICAL, output),)
        state = MemberState("n1", Health.ALIVE, heard=0.0, interval=5.0, checks=checks)
        here.view.stated(Statement(HERE, 0, "i", sequence, PIPE, (state,)), now)
        here.tick(now)
    (raised,) = here.tick(7.5)
    assert "99 % full" in raised.summary

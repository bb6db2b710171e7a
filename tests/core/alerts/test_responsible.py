"""One supernode is responsible for each thing, by what is known of the federation."""

from nm_bus.core.alerts.reports import (
    responsible,
    responsible_for_member,
    responsible_for_supernode,
)
from nm_bus.core.view import View
from nm_bus.messages import (
    Alert,
    AlertState,
    Health,
    MemberState,
    PipeState,
    Severity,
    Statement,
)

HERE, SECOND, THIRD = "sn1.example", "sn2.example", "sn3.example"
NOW = 100.0


def federation(*heard: str, origin: str = HERE) -> View:
    view = View(origin, limit=10.0)
    for node in (HERE, SECOND, THIRD):
        view.expect(node, 0.0)
        view.heard(node, NOW if node in (origin, *heard) else 1.0)
    view.settle({HERE, SECOND, THIRD}, {HERE, SECOND, THIRD})
    return view


def told(view: View, home: str, now: float = NOW) -> None:
    state = MemberState("n1", Health.ALIVE, heard=0.0)
    view.stated(Statement(home, 0, "i", 1, PipeState("q", proven=True), (state,)), now)


def alert(kind: str, origin: str, subject: str = "n1") -> Alert:
    state, severity = AlertState.RAISED, Severity.INFO
    return Alert("a", 1, state, severity, kind, subject, "x", 0.0, 0.0, origin)


def test_a_members_home_is_responsible_for_it_while_it_is_heard() -> None:
    view = federation(SECOND)
    told(view, SECOND)
    assert responsible_for_member(view, "n1", NOW) == SECOND
    assert responsible_for_member(view, "n1", NOW + 60.0) == HERE, "nobody else is heard"
    assert responsible_for_member(view, "n2", NOW) is None


def test_a_silent_supernode_has_one_speaker_the_first_that_is_heard() -> None:
    assert responsible_for_supernode(federation(SECOND), THIRD, NOW) == HERE
    assert responsible_for_supernode(federation(HERE, origin=SECOND), THIRD, NOW) == HERE
    assert responsible_for_supernode(federation(SECOND), HERE, NOW) == HERE


def test_what_another_one_raised_is_its_homes_to_resolve() -> None:
    view = federation(SECOND)
    told(view, SECOND)
    assert responsible(view, alert("member-down", THIRD), NOW) == SECOND


def test_what_a_supernode_said_of_itself_is_its_own_until_it_is_removed() -> None:
    view, own = federation(SECOND), alert("broker-trouble", THIRD, THIRD)
    assert responsible(view, own, NOW) == THIRD
    assert responsible(view, alert("member-down", THIRD), NOW) == THIRD, "nobody has the member"
    view.settle({HERE, SECOND}, {HERE, SECOND})
    assert responsible(view, own, NOW) == HERE
    assert responsible(view, alert("of-a-later-release", THIRD), NOW) == HERE

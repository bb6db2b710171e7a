"""Who decides, and how one comes to."""

from typing import Any

import pytest

from nm_bus.core.ledger.genesis import genesis
from nm_lab.samples.desk import Desk, project

KEY = "supernode/s4.org"


def test_a_supernode_comes_as_a_standby_and_becomes_a_voter() -> None:
    desk = Desk()
    desk.done("admin", "admit", KEY, {"incarnation": "a", "host": "broker.s4.org", "weight": 2})
    assert "s4.org#a" in desk.state.standbys
    desk.done("admin", "admit", KEY, {"role": "voter"})
    assert "s4.org#a" in desk.state.voters
    assert desk.state.value(KEY) == {
        "role": "voter",
        "incarnation": "a",
        "host": "broker.s4.org",
        "weight": 2,
        "port": 5671,
    }
    desk.done("admin", "admit", KEY, {"role": "standby"})
    assert "s4.org#a" in desk.state.standbys


def test_nobody_votes_that_was_no_standby_before() -> None:
    desk = Desk()
    answer = desk.ask("admin", "admit", KEY, {"incarnation": "a", "role": "voter"}).answer
    assert (answer.code, "standby first" in answer.reason) == ("bad-value", True)
    again = {"incarnation": "b", "role": "voter"}
    assert desk.refused("admin", "admit", "supernode/s1.org", again) == "bad-value"


def test_who_is_no_supernode_is_said_to_be_none() -> None:
    answer = Desk().ask("admin", "admit", KEY, {"role": "voter"}).answer
    assert "s4.org is no supernode: admit it first" in answer.reason


def test_another_incarnation_takes_the_place_of_the_first() -> None:
    desk = Desk()
    desk.done("admin", "admit", "supernode/s1.org", {"incarnation": "b", "role": "standby"})
    assert desk.state.voters == {"s2.org#genesis", "s3.org#genesis"}
    assert desk.state.standbys == {"s1.org#b"}
    assert desk.refused("admin", "admit", "supernode/s2.org", {"incarnation": "b"}) == "bad-value"


def test_a_voter_always_stays() -> None:
    desk = Desk(genesis(project(supernodes=[{"node": "s1.org"}, {"node": "s2.org"}])))
    desk.done("admin", "dismiss", "supernode/s2.org")
    for change in (
        ("dismiss", None),
        ("admit", {"role": "standby"}),
        ("admit", {"role": "standby", "incarnation": "b"}),
    ):
        kind, value = change
        assert desk.refused("admin", kind, "supernode/s1.org", value) == "no-majority"
    assert desk.state.voters == {"s1.org#genesis"}


def test_whom_nobody_knows_cannot_be_dismissed() -> None:
    assert Desk().refused("admin", "dismiss", KEY) == "unknown-key"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"incarnation": ""},
        {"incarnation": "a#b"},
        {"incarnation": "a\n"},
        {"incarnation": "a", "role": "king"},
        {"incarnation": "a", "role": None},
        {"incarnation": "a", "weight": 0},
        {"incarnation": "a", "weight": 101},
        {"incarnation": "a", "port": 70_000},
        {"incarnation": "a", "host": "no host"},
    ],
)
def test_a_supernode_that_cannot_be_is_refused(value: dict[str, Any]) -> None:
    assert Desk().refused("admin", "admit", KEY, value) == "bad-value"

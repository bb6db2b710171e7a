"""A vote is given only to a supernode that was heard about where the others are."""

from typing import Any

import pytest

from nm_bus.core.ledger.genesis import genesis
from nm_bus.core.ledger.readiness import NEAR, why_not_ready
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change
from nm_lab.samples.desk import project

VOTER, STANDBY = "s1.org#genesis", "s2.org#genesis"
PROMOTES: dict[str, Any] = {"role": "voter"}


def state() -> State:
    standby = {"node": "s2.org", "role": "standby"}
    return genesis(project(supernodes=[{"node": "s1.org"}, standby]))


def why(heights: dict[str, int], value: dict[str, Any] | None, node: str = "s2.org") -> str:
    change = Change("admin/1/1", "admin", "admit", f"supernode/{node}", value=value)
    return why_not_ready(change, state(), heights)


@pytest.mark.parametrize(
    ("heights", "said"),
    [
        ({VOTER: 1_000}, "has not been heard"),
        ({VOTER: 1_000, "s2.org#other": 1_000}, "s2.org as genesis has not been heard"),
        ({VOTER: 1_000, STANDBY: 999 - NEAR}, f"is {NEAR + 1} decisions behind"),
        ({VOTER: 1_000, STANDBY: 1_000 - NEAR}, ""),
        ({VOTER: 1_000, STANDBY: 1_000}, ""),
    ],
)
def test_one_that_was_not_heard_about_where_the_others_are_waits_for_its_vote(
    heights: dict[str, int], said: str
) -> None:
    reason = why(heights, PROMOTES)
    assert said in reason
    assert bool(said) == bool(reason)


@pytest.mark.parametrize(
    ("value", "node"),
    [
        ({"role": "standby"}, "s2.org"),
        ({"weight": 2}, "s2.org"),
        (PROMOTES, "s1.org"),
        (PROMOTES, "s9.org"),
        (None, "s2.org"),
    ],
)
def test_nothing_else_waits_for_that(value: dict[str, Any] | None, node: str) -> None:
    assert why({VOTER: 1}, value, node) == ""

"""Who belongs, in which state, and at home where."""

from typing import Any

import pytest

from nm_lab.samples.desk import Desk

KEY = "member/m1.org"
STATES = [
    # steps, and the state that the last one leads to; or the code of its refusal
    (["join"], "joined"),
    (["join", "join"], "joined"),
    (["join", "leave"], "left"),
    (["join", "leave", "join"], "joined"),
    (["join", "maintain"], "maintenance"),
    (["join", "maintain", "join"], "maintenance"),
    (["join", "maintain", "resume"], "joined"),
    (["join", "maintain", "leave"], "left"),
    (["join", "remove"], "left"),
    (["join", "leave", "remove"], "left"),
    (["join", "remove", "join"], "not-allowed"),
    (["leave"], "unknown-key"),
    (["maintain"], "unknown-key"),
    (["resume"], "unknown-key"),
    (["remove"], "unknown-key"),
    (["join", "leave", "leave"], "unknown-key"),
    (["join", "leave", "maintain"], "unknown-key"),
    (["join", "leave", "resume"], "unknown-key"),
]


@pytest.mark.parametrize(("steps", "outcome"), STATES)
def test_the_steps_of_a_members_life(steps: list[str], outcome: str) -> None:
    desk = Desk()
    for step in steps:
        answer = desk.ask("s1.org" if step == "join" else "admin", step, KEY).answer
    value = desk.state.value(KEY) or {}
    assert outcome == (answer.code or value["state"])
    assert bool(value.get("home")) is (value.get("state", "left") != "left")


def test_whom_an_administrator_removed_an_administrator_brings_back() -> None:
    desk = Desk()
    desk.done("s1.org", "join", KEY)
    desk.done("admin", "remove", KEY)
    assert desk.refused("s2.org", "join", KEY) == "not-allowed"
    desk.done("admin", "join", KEY)
    desk.done("admin", "leave", KEY)
    desk.done("s2.org", "join", KEY)


def test_a_join_says_what_changes_and_the_rest_stays() -> None:
    desk = Desk()
    desk.done("s1.org", "join", KEY, {"weight": 3, "properties": {"city": "Livermore"}})
    before = desk.state.value(KEY)
    assert before is not None
    desk.done("s1.org", "join", KEY, {"properties": {"city": "Oak Ridge"}, "state": "left"})
    assert desk.state.value(KEY) == before | {"properties": {"city": "Oak Ridge"}}


@pytest.mark.parametrize("step", ["join", "maintain", "resume", "remove"])
def test_what_is_so_already_takes_no_revision(step: str) -> None:
    desk = Desk()
    joined = desk.done("admin", "join", KEY, {"properties": {"city": "Livermore"}})
    first = desk.ask("admin", step, KEY).answer
    again = desk.ask("admin", step, KEY)
    assert (again.answer.revision, again.update) == (first.revision, None)
    assert desk.state.revision == (joined if step in ("join", "resume") else joined + 1)


@pytest.mark.parametrize(
    "value",
    [{"weight": 0}, {"weight": "1"}, {"weight": True}, {"properties": {"a": 1}}, {"properties": 1}],
)
def test_a_join_that_cannot_be_is_refused(value: dict[str, Any]) -> None:
    assert Desk().refused("s1.org", "join", KEY, value) == "bad-value"


def test_a_member_in_maintenance_keeps_its_home_when_others_come_and_go() -> None:
    desk = Desk()
    desk.done("s1.org", "join", KEY)
    desk.done("admin", "maintain", KEY)
    home = (desk.state.value(KEY) or {})["home"]
    desk.done("admin", "admit", "supernode/s4.org", {"incarnation": "x", "weight": 100})
    desk.done("admin", "admit", "supernode/s4.org", {"role": "voter"})
    for number in range(20):
        desk.done("s1.org", "join", f"member/n{number}.org")
    assert (desk.state.value(KEY) or {})["home"] == home
    desk.done("admin", "dismiss", f"supernode/{home}")
    assert (desk.state.value(KEY) or {})["home"] not in ("", home)


def test_a_revision_tells_all_the_members_that_it_moved() -> None:
    desk = Desk()
    for number in range(30):
        desk.done("s1.org", "join", f"member/n{number}.org")
    before = dict(desk.state.entries)
    applied = desk.ask("admin", "dismiss", "supernode/s3.org")
    moved = {key for key, entry in before.items() if entry.value.get("home") == "s3.org"}
    assert moved
    assert applied.entries.keys() == moved | {"supernode/s3.org"}
    assert {key for key in before if desk.state.get(key) != before[key]} == applied.entries.keys()

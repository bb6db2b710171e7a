"""What everybody has to keep, nobody can fill: records and locks are bounded for each principal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.ledger.rules import locks, records
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.usage import NOTHING, Used, size_of
from nm_bus.messages import Entry
from nm_lab.samples.desk import Desk

NODE = "n1.org"


def member() -> Desk:
    desk = Desk()
    desk.done("admin", "join", f"member/{NODE}", {})
    return desk


def key(number: int) -> str:
    return f"record/endpoint/{NODE}.{number}"


def test_a_member_sets_so_many_records_and_then_deletes_some_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "OF_A_NODE", Used(3, 1_000))
    desk = member()
    for number in range(3):
        desk.done(NODE, "set", key(number), {"url": "x"})
    answer = desk.ask(NODE, "set", key(3), {"url": "x"}).answer
    assert answer.code == "bad-value"
    assert answer.reason == "n1.org may have 3 records of 1000 bytes together: delete some first"

    desk.done(NODE, "set", key(0), {"url": "another"})
    desk.done(NODE, "delete", key(0))
    desk.done(NODE, "set", key(3), {"url": "x"})


def test_its_records_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "OF_A_NODE", Used(100, 250))
    desk = member()
    desk.done(NODE, "set", key(0), {"url": "x" * 100})
    desk.done(NODE, "set", key(1), {"url": "x" * 100})
    assert desk.refused(NODE, "set", key(2), {"url": "x" * 100}) == "bad-value"
    desk.done(NODE, "set", key(1), {"url": "x" * 120})


def test_one_members_limit_is_no_others_and_no_administrators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "OF_A_NODE", Used(1, 1_000))
    desk = member()
    desk.done("admin", "join", "member/n2.org", {})
    desk.done(NODE, "set", key(0), {"url": "x"})
    desk.done("n2.org", "set", "record/endpoint/n2.org.a", {"url": "x"})
    for number in range(5):
        desk.done("admin", "set", key(10 + number), {"url": "x"})


def test_locks_are_bounded_for_each_principal_in_all_its_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locks, "MOST_OF_ONE", 2)
    desk = Desk()
    for session in ("session/a/1", "session/a/2", "session/b/1"):
        desk.done(session.split("/")[1], "open", session, {"ttl": 1_000})
    desk.done("a", "lock", "lock/1", {"session": "session/a/1"})
    desk.done("a", "lock", "lock/2", {"session": "session/a/2"})
    assert desk.refused("a", "lock", "lock/3", {"session": "session/a/2"}) == "bad-value"
    desk.done("b", "lock", "lock/3", {"session": "session/b/1"})
    desk.done("a", "close", "session/a/1")
    desk.done("a", "lock", "lock/4", {"session": "session/a/2"})


owners = st.sampled_from(["a", "b", "c"])
steps = st.lists(st.tuples(st.integers(0, 9), st.booleans(), owners, st.integers(0, 50)))


@given(steps)
def test_what_is_kept_is_what_is_counted(steps: list[tuple[int, bool, str, int]]) -> None:
    state = State("p", epoch=1, revision=0, head="x")
    for number, drops, owner, size in steps:
        if drops and state.get(key(number)):
            state.drop(key(number))
        elif not drops:
            state.put(Entry(key(number), {"v": "x" * size}, 1, owner))
    again = State.of(state.snapshot())
    for owner in ("a", "b", "c"):
        own = [entry for entry in state.entries.values() if entry.actor == owner]
        counted = Used(len(own), sum(size_of(entry.value) for entry in own))
        assert state.used(owner, "record") == again.used(owner, "record") == counted
    assert state.used("nobody", "record") == NOTHING
    values = sum(size_of(entry.value) for entry in state.entries.values())
    assert state.size == again.size == values


holdings = st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from(["s/1", "s/2"])))


@given(holdings)
def test_the_locks_of_a_session_are_those_that_the_entries_name(
    steps: list[tuple[int, bool, str]],
) -> None:
    state = State("p", epoch=1, revision=0, head="x")
    for number, drops, session in steps:
        lock = f"lock/{number}"
        if drops and state.get(lock):
            state.drop(lock)
        elif not drops:
            state.put(Entry(lock, {"session": session, "owner": "a", "token": 1}, 1, "a"))
    again = State.of(state.snapshot())
    for session in ("s/1", "s/2"):
        found = [each.key for each in state.under("lock/") if each.value["session"] == session]
        assert state.locks_of(session) == again.locks_of(session) == found
    assert state.locks_of("s/none") == []

"""Sessions and the locks that are held in them."""

from typing import Any

import pytest

from nm_bus.core.ledger.rules import locks, sessions
from nm_bus.messages import Entry
from nm_lab.samples.desk import Desk

A, B, E = "session/a/s", "session/b/s", "session/eve/s"


def opened() -> Desk:
    """Two sessions, of generation 1 and 2."""
    desk = Desk()
    desk.done("a", "open", A, {"ttl": 1_000})
    desk.done("b", "open", B, {"ttl": 1_000})
    return desk


def test_a_sessions_generation_is_the_revision_that_opened_it() -> None:
    desk = opened()
    assert desk.state.value(B) == {"owner": "b", "ttl": 1_000, "generation": 2}


@pytest.mark.parametrize("value", [None, {}, {"ttl": 1}, {"ttl": "9"}, {"ttl": 10**9}])
def test_a_session_needs_a_time_to_live(value: dict[str, Any] | None) -> None:
    assert Desk().refused("a", "open", A, value) == "bad-value"


def test_a_lock_is_held_by_one_session_and_its_token_is_the_revision() -> None:
    desk = opened()
    token = desk.done("a", "lock", "lock/x", {"session": A})
    assert desk.state.value("lock/x") == {"session": A, "owner": "a", "token": token}
    answer = desk.ask("b", "lock", "lock/x", {"session": B}).answer
    assert (answer.code, answer.reason) == ("held", f"x is held by {A}")


def test_asked_again_by_its_holder_a_lock_has_the_same_token() -> None:
    desk = opened()
    token = desk.done("a", "lock", "lock/x", {"session": A})
    again = desk.ask("a", "lock", "lock/x", {"session": A})
    assert (again.answer.revision, again.update) == (token, None)


def test_tokens_grow_from_holder_to_holder() -> None:
    desk = opened()
    first = desk.done("a", "lock", "lock/x", {"session": A})
    desk.done("a", "unlock", "lock/x", {"session": A})
    second = desk.done("b", "lock", "lock/x", {"session": B})
    assert second > first


LOCKING = [
    ("a", {"session": "session/a/none"}, "gone"),
    ("a", {"session": A, "generation": 7}, "gone"),
    ("a", {"session": "role/admin"}, "gone"),
    ("a", {"session": B}, "not-allowed"),
    ("a", {"session": ""}, "bad-value"),
    ("a", {"session": 1}, "bad-value"),
    ("a", None, "bad-value"),
    ("a", {"session": A, "generation": 1}, ""),
]


@pytest.mark.parametrize(("actor", "value", "code"), LOCKING)
def test_a_lock_needs_an_open_session_of_its_own(
    actor: str, value: dict[str, Any] | None, code: str
) -> None:
    assert opened().ask(actor, "lock", "lock/x", value).answer.code == code


UNLOCKING: list[tuple[str, dict[str, Any] | None, str]] = [
    ("a", {"session": A}, ""),
    ("a", {"session": A, "generation": 1}, ""),
    ("admin", None, ""),
    ("a", None, "bad-value"),
    ("a", {"session": A, "generation": 9}, "gone"),
    ("b", {"session": B}, "held"),
    ("b", {"session": A}, "not-allowed"),
]


@pytest.mark.parametrize(("actor", "value", "code"), UNLOCKING)
def test_a_lock_is_freed_by_its_session_or_an_administrator(
    actor: str, value: dict[str, Any] | None, code: str
) -> None:
    desk = opened()
    desk.done("a", "lock", "lock/x", {"session": A})
    assert desk.ask(actor, "unlock", "lock/x", value).answer.code == code
    assert (desk.state.get("lock/x") is None) is (code == "")


def test_what_is_not_locked_cannot_be_freed() -> None:
    assert opened().refused("a", "unlock", "lock/x", {"session": A}) == "unknown-key"


ENDINGS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("a", "close", None, ""),
    ("a", "close", {"generation": 1}, ""),
    ("a", "close", {"generation": 9}, "gone"),
    ("b", "close", None, "not-allowed"),
    ("admin", "close", None, ""),
    ("s1.org", "expire", {"generation": 1}, ""),
    ("s1.org", "expire", {"generation": 2}, "gone"),
    ("s1.org", "expire", None, "bad-value"),
    ("s1.org", "expire", {"generation": "1"}, "bad-value"),
    ("a", "expire", {"generation": 1}, "not-allowed"),
]


@pytest.mark.parametrize(("actor", "kind", "value", "code"), ENDINGS)
def test_a_session_that_ends_frees_its_locks_and_no_others(
    actor: str, kind: str, value: dict[str, Any] | None, code: str
) -> None:
    desk = opened()
    for name in "yx":
        desk.done("a", "lock", f"lock/{name}", {"session": A})
    desk.done("b", "lock", "lock/z", {"session": B})
    applied = desk.ask(actor, kind, A, value)
    assert applied.answer.code == code
    assert list(applied.entries) == ([] if code else [A, "lock/x", "lock/y"])
    assert desk.state.get("lock/z") is not None


def test_a_late_expiry_does_not_end_the_session_that_was_opened_since() -> None:
    desk = opened()
    desk.done("a", "lock", "lock/x", {"session": A})
    applied = desk.ask("a", "open", A, {"ttl": 2_000})
    assert applied.entries["lock/x"] is None
    generation = (desk.state.value(A) or {})["generation"]
    assert generation == applied.answer.revision
    assert desk.refused("s1.org", "expire", A, {"generation": 1}) == "gone"
    assert desk.refused("a", "lock", "lock/x", {"session": A, "generation": 1}) == "gone"
    desk.done("s1.org", "expire", A, {"generation": generation})
    assert desk.refused("s2.org", "expire", A, {"generation": generation}) == "gone"


def test_a_principal_has_so_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 1)
    desk = opened()
    assert desk.refused("a", "open", "session/a/more", {"ttl": 1_000}) == "bad-value"
    desk.done("a", "open", A, {"ttl": 1_000})


def test_a_project_has_so_many_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MOST", 1)
    desk = opened()
    desk.done("a", "lock", "lock/x", {"session": A})
    assert desk.refused("a", "lock", "lock/y", {"session": A}) == "bad-value"


def reads(locks: int) -> int:
    """How many entries are read while a session with one lock comes and goes among other locks."""
    desk = opened()
    for number in range(locks):
        value = {"session": B, "owner": "b", "token": 2}
        desk.state.put(Entry(f"lock/other{number}", value, 2, "b"))
    desk.done("a", "lock", "lock/x", {"session": A})
    counted = desk.counted()
    desk.done("a", "open", A, {"ttl": 1_000})
    desk.done("a", "lock", "lock/x", {"session": A})
    desk.done("a", "close", A)
    desk.done("a", "open", A, {"ttl": 1_000})
    generation = (desk.state.value(A) or {})["generation"]
    desk.done("s1.org", "expire", A, {"generation": generation})
    return counted.reads


def test_a_session_reads_none_of_the_locks_that_others_hold() -> None:
    assert reads(1_000) == reads(0)

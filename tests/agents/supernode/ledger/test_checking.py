"""Changes that wait for their check: in turn, in each asker's order, for a limited time."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from nm_agents.supernode.ledger.checking import (
    MOST_ASKING,
    MOST_OF_ONE,
    PATIENCE,
    REMEMBERED,
    TOO_LATE,
    TOO_MANY,
    TOO_OFTEN,
    Checking,
)
from nm_bus.checking.check import Check, OfDocument
from nm_bus.checking.checker import NoCheckError
from nm_bus.core.ledger.answers import Answers
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.state import State
from nm_bus.documents.media import JSON
from nm_bus.errors import NmBusError
from nm_bus.messages import Change, Entry, Proposed
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

ALICE, BOB = "alice.example.org", "bob.example.org"
Done = Callable[[str | NmBusError], None]


class Desk:
    """Changes that come in, a judge who answers when the test lets him, and what is told."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        transport = MemoryTransport(
            MemoryBroker(self.clock), self.clock, user="sn1", random=lambda: 0.5
        )
        roles = [Entry(f"role/{who}", {"administrator": True}, 1, ALICE) for who in (ALICE, BOB)]
        self.state = State("test", epoch=1, revision=1, head="", entries=roles)
        self.checking = Checking(transport, lambda: self.state, self._judge)
        self.open: list[tuple[Check, Done]] = []
        self.told: list[tuple[str, Refusal | None]] = []

    def _judge(self, check: Check, done: Done) -> None:
        self.open.append((check, done))

    def ask(self, who: str, name: str, media_type: str = JSON) -> None:
        self.take(change_of(who, name, media_type))

    def take(self, change: Change) -> None:
        name = change.key.rpartition("/")[2]
        self.checking.take(change.actor, change, lambda refusal: self.told.append((name, refusal)))

    def judge(self, said: str | NmBusError = "") -> bytes:
        """Answer the one check that is being made; gives what is checked."""
        ((check, done),) = self.open
        self.open.clear()
        assert isinstance(check, OfDocument)
        done(said)
        return check.content

    def move_on(self, *entries: Entry, answer: Proposed | None = None) -> None:
        """The state becomes another one, as by what others agreed, or by a snapshot."""
        answers = Answers()
        if answer is not None:
            answers.keep(answer, answer.revision)
        everything = [*self.state.entries.values(), *entries]
        self.state = State(
            "test", epoch=1, revision=2, head="", entries=everything, answers=answers
        )


def change_of(who: str, name: str, media_type: str = JSON) -> Change:
    value = {"content": name, "media_type": media_type}
    return Change(f"{who}/1/{name}", who, "set", f"config/thredds/{name}", value=value)


def test_one_is_checked_at_a_time_and_principals_in_turn() -> None:
    desk = Desk()
    for name in ("a1", "a2", "a3"):
        desk.ask(ALICE, name)
    desk.ask(BOB, "b1")
    assert [desk.judge() for _ in range(4)] == [b"a1", b"a2", b"b1", b"a3"]
    assert desk.told == [("a1", None), ("a2", None), ("b1", None), ("a3", None)]


def test_what_is_wrong_is_told_with_its_key() -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    assert desk.told == []
    desk.judge("is no JSON")
    assert desk.told == [("a1", Refusal("bad-value", "config/thredds/a1 is no JSON"))]


def test_what_needs_no_check_is_told_at_once_but_never_before_what_came_before() -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    desk.ask(ALICE, "a2", "text/plain")
    desk.ask(BOB, "b1", "text/plain")
    assert [name for name, _ in desk.told] == ["b1"]
    desk.judge()
    assert [name for name, _ in desk.told] == ["b1", "a1", "a2"]


def test_a_change_that_did_not_come_to_its_turn_in_time_is_to_be_asked_again() -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    desk.ask(ALICE, "a2")
    desk.clock.advance(PATIENCE + 1.0)
    desk.judge()
    assert desk.told == [("a1", None), ("a2", Refusal("unavailable", TOO_LATE))]
    assert desk.open == []


def test_who_lets_too_many_wait_is_refused_and_the_others_are_not() -> None:
    desk = Desk()
    for number in range(MOST_OF_ONE + 1):
        desk.ask(ALICE, f"a{number}")
    desk.ask(ALICE, "more")
    assert desk.told == [("more", Refusal("unavailable", TOO_MANY))]
    desk.ask(BOB, "b1")
    assert [desk.judge() for _ in range(3)] == [b"a0", b"a1", b"b1"]


def test_a_check_that_was_not_made_is_made_again_after_the_others_turn() -> None:
    desk = Desk()
    for name in ("a1", "a2"):
        desk.ask(ALICE, name)
    desk.ask(BOB, "b1")
    assert desk.judge(NoCheckError("it was killed")) == b"a1"
    assert [desk.judge() for _ in range(3)] == [b"b1", b"a1", b"a2"]
    assert desk.told == [("b1", None), ("a1", None), ("a2", None)]


def test_that_no_check_could_be_made_is_said_and_is_no_refusal_of_the_change() -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    desk.judge(NoCheckError("no process"))
    assert desk.told == []
    desk.judge(NoCheckError("no process"))
    refusal = Refusal("unavailable", "the change was not checked: no process")
    assert desk.told == [("a1", refusal)]
    desk.ask(ALICE, "a1")
    assert desk.judge() == b"a1"
    assert desk.told[1:] == [("a1", None)]


@pytest.mark.parametrize(
    ("error", "late"),
    [(NmBusError("too much is waiting"), 0.0), (NoCheckError("busy"), PATIENCE + 0.1)],
)
def test_what_cannot_be_made_in_time_has_no_second_turn(error: NmBusError, late: float) -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    desk.clock.advance(late)
    desk.judge(error)
    assert desk.open == []
    assert desk.told == [("a1", Refusal("unavailable", f"the change was not checked: {error}"))]


def test_what_is_asked_again_is_checked_once_and_told_to_all() -> None:
    desk = Desk()
    for _ in range(3):
        desk.ask(ALICE, "a1")
    desk.judge("takes too long")
    refusal = Refusal("bad-value", "config/thredds/a1 takes too long")
    assert desk.told == [("a1", refusal)] * 3

    desk.ask(ALICE, "a1")
    assert desk.open == []
    assert desk.told == [("a1", refusal)] * 4


def test_a_refusal_is_of_that_change_alone() -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    desk.judge("takes too long")
    desk.ask(ALICE, "a2")
    assert desk.judge() == b"a2"
    assert desk.told[-1] == ("a2", None)


@pytest.mark.parametrize("is_judged", [True, False])
def test_another_change_of_the_same_id_has_a_check_of_its_own(is_judged: bool) -> None:
    desk = Desk()
    first = change_of(ALICE, "a1")
    desk.take(first)
    if is_judged:
        desk.judge("takes too long")
    desk.take(replace(change_of(ALICE, "a2"), id=first.id))
    if not is_judged:
        desk.judge("takes too long")
    assert desk.judge() == b"a2"
    refusal = Refusal("bad-value", "config/thredds/a1 takes too long")
    assert desk.told == [("a1", refusal), ("a2", None)]


def test_so_many_refusals_are_remembered_and_the_oldest_is_forgotten() -> None:
    desk = Desk()
    for number in range(REMEMBERED + 1):
        desk.ask(ALICE, f"a{number}")
        desk.judge("takes too long")
    desk.ask(ALICE, "a1")
    assert desk.open == []
    desk.ask(ALICE, "a0")
    assert desk.judge() == b"a0"


def test_a_change_that_is_asked_too_often_while_it_waits_is_refused_and_the_first_are_told() -> (
    None
):
    desk = Desk()
    for _ in range(MOST_ASKING + 2):
        desk.ask(ALICE, "a1")
    assert desk.told == [("a1", Refusal("unavailable", TOO_OFTEN))] * 2
    desk.told.clear()
    desk.judge()
    assert desk.told == [("a1", None)] * MOST_ASKING


# --- the state moves on while a check is made


def with_schema(name: str, schema: str) -> Entry:
    value = {"content": "x", "media_type": JSON, "schema": schema}
    return Entry(f"config/thredds/{name}", value, 2, ALICE)


@pytest.mark.parametrize("verdict", ["", "is refused by its schema"])
def test_a_verdict_by_a_schema_that_is_replaced_meanwhile_is_none(verdict: str) -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    desk.move_on(with_schema("a1", "{}"))
    desk.judge(verdict)
    ((check, _),) = desk.open
    assert isinstance(check, OfDocument)
    assert check.schema == "{}"
    assert desk.told == []
    desk.judge()
    assert desk.told == [("a1", None)]


def test_a_schema_that_is_always_replaced_holds_up_a_change_for_a_limited_time() -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    for schema in ("{}", "true"):
        desk.move_on(with_schema("a1", schema))
        desk.clock.advance(PATIENCE / 2 + 0.1)
        desk.judge("is refused by its schema")
    assert desk.told == [("a1", Refusal("unavailable", TOO_LATE))]


def test_no_refusal_is_remembered_of_a_change_that_the_ledger_answers_meanwhile() -> None:
    desk = Desk()
    change = replace(change_of(ALICE, "a1"), id=f"{ALICE}/1/1")
    desk.take(change)
    desk.move_on(answer=Proposed(change.id, "agreed", 2))
    desk.judge("is no JSON")
    desk.take(change)
    desk.judge()
    assert desk.told[-1] == ("a1", None)

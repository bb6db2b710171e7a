"""Changes that wait for their check: in turn, in each asker's order, for a limited time."""

from collections.abc import Callable

from nm_agents.supernode.ledger.checking import MOST_OF_ONE, PATIENCE, TOO_LATE, TOO_MANY, Checking
from nm_bus.checking.check import Check, OfDocument
from nm_bus.checking.checker import NoCheckError
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.state import State
from nm_bus.documents.media import JSON
from nm_bus.errors import NmBusError
from nm_bus.messages import Change, Entry
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
        self.open: list[tuple[bytes, Done]] = []
        self.told: list[tuple[str, Refusal | None]] = []

    def _judge(self, check: Check, done: Done) -> None:
        assert isinstance(check, OfDocument)
        self.open.append((check.content, done))

    def ask(self, who: str, name: str, media_type: str = JSON) -> None:
        value = {"content": name, "media_type": media_type}
        change = Change(f"{who}/1/{name}", who, "set", f"config/thredds/{name}", value=value)
        self.checking.take(who, change, lambda refusal: self.told.append((name, refusal)))

    def judge(self, said: str | NmBusError = "") -> bytes:
        """Answer the one check that is being made; gives what is checked."""
        ((content, done),) = self.open
        self.open.clear()
        done(said)
        return content


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


def test_that_no_check_could_be_made_is_said_and_can_be_tried_again() -> None:
    desk = Desk()
    desk.ask(ALICE, "a1")
    desk.judge(NoCheckError("no process"))
    refusal = Refusal("unavailable", "the change was not checked: no process")
    assert desk.told == [("a1", refusal)]
    desk.ask(ALICE, "a2")
    assert desk.judge() == b"a2"


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

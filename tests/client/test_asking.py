"""Whom a client asks: who answers first, who was silent last, and nobody in vain."""

import pytest

from nm_bus.client.asking import SHUNNED, Asking, good
from nm_bus.codes import NO_LEDGER
from nm_bus.errors import RefusedError, TimedOutError
from nm_bus.messages import Answer, Message, NodeId, Read, Seconds
from nm_bus.settings import LOCAL

ONE, TWO, THREE = NODES = ("sn1.example", "sn2.example", "sn3.example")
QUESTION = Read("ledger")


def says(code: str) -> Answer:
    return Answer("", code == "ok", code, "" if code == "ok" else f"it says {code}")


class Answering:
    """Supernodes that say what a test wants; `silent` ones nothing."""

    user = "admin.example"

    def __init__(self, *silent: NodeId) -> None:
        self.silent = set(silent)
        self.codes: dict[NodeId, str] = {}
        self.asked: list[NodeId] = []

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId | None = None
    ) -> Answer:
        assert supernode is not None
        self.asked.append(supernode)
        if supernode in self.silent:
            raise TimedOutError(f"{supernode} gave no answer")
        return says(self.codes.get(supernode, "ok"))


def settled(asking: Asking, timeout: Seconds = 5.0) -> Answer:
    return asking.settled(QUESTION, good, timeout=timeout, patience=1.0)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes when a test says so."""
    now = [1000.0]
    monkeypatch.setattr("nm_bus.client.asking.time.monotonic", lambda: now[0])
    return now


def test_who_was_silent_a_moment_ago_is_asked_after_all_others(moment: list[float]) -> None:
    bus = Answering(ONE)
    asking = Asking(bus, NODES, LOCAL)
    settled(asking)
    assert bus.asked == [ONE, TWO]
    bus.asked.clear()
    bus.codes = {TWO: "unavailable", THREE: "unavailable"}
    bus.silent.clear()
    settled(asking)
    assert bus.asked == [TWO, THREE, ONE]
    assert moment == [1000.0]


def test_it_is_forgotten_after_a_while_and_after_an_answer(moment: list[float]) -> None:
    bus = Answering(ONE)
    asking = Asking(bus, (ONE, TWO), LOCAL)
    settled(asking)
    moment[0] += 2 * SHUNNED
    bus.silent = {TWO}
    settled(asking)
    assert bus.asked == [ONE, TWO, TWO, ONE]
    settled(asking)
    assert bus.asked[4:] == [ONE]


def test_where_nobody_has_a_ledger_it_is_said_at_once(moment: list[float]) -> None:
    bus = Answering()
    bus.codes = dict.fromkeys(NODES, NO_LEDGER)
    with pytest.raises(RefusedError, match="it says no-ledger") as refused:
        settled(Asking(bus, NODES, LOCAL), timeout=30.0)
    assert refused.value.code == NO_LEDGER
    assert sorted(bus.asked) == sorted(NODES), "each is asked once"


def test_one_without_a_ledger_is_passed_over(moment: list[float]) -> None:
    bus = Answering()
    bus.codes = {ONE: NO_LEDGER}
    assert settled(Asking(bus, NODES, LOCAL)).ok
    assert bus.asked == [ONE, TWO]


def test_the_others_are_asked_once_each_without_those_that_give_no_answer() -> None:
    bus = Answering(TWO)
    asking = Asking(bus, (*NODES, "sn4.example"), LOCAL)
    bus.codes = {THREE: "bad-request"}
    settled(asking)
    bus.asked.clear()
    assert len(list(asking.each(QUESTION, good, patience=1.0))) == 1
    assert bus.asked == [TWO, THREE, "sn4.example"]


def test_who_gave_the_answer_that_was_wanted_is_asked_first_from_then_on() -> None:
    bus = Answering()
    asking = Asking(bus, NODES, LOCAL)
    settled(asking)
    next(asking.each(QUESTION, good, patience=1.0))
    bus.asked.clear()
    settled(asking)
    assert bus.asked == [TWO]

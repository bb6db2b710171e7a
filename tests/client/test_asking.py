"""Whom a client asks: who answers first, who was silent last, and nobody in vain."""

import pytest

from nm_bus.client.asking import SHUNNED, Asking, good
from nm_bus.client.proposing import Proposing
from nm_bus.codes import NO_LEDGER
from nm_bus.errors import RefusedError, TimedOutError, UndecidedError
from nm_bus.messages import Answer, Message, NodeId, Query, Read, Seconds
from nm_bus.settings import LOCAL
from nm_bus.testing.carrier import FakeCarrier
from nm_bus.testing.project import FakeProject

ONE, TWO, THREE = NODES = ("sn1.example", "sn2.example", "sn3.example")
QUESTION = Read("ledger")


def says(code: str) -> Answer:
    return Answer("", code == "ok", code, "" if code == "ok" else f"it says {code}")


class Answering(FakeCarrier):
    """Supernodes that say what a test wants; `silent` ones nothing."""

    def __init__(self, *silent: NodeId) -> None:
        super().__init__(FakeProject().supernodes, "admin.example")
        self.silent = set(silent)
        self.requests: list[str] = []
        self.codes: dict[NodeId, str] = {}
        self.asked: list[NodeId] = []

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId, request: str = ""
    ) -> Answer:
        self.requests.append(request)
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


class Stuck(Answering):
    """The `silent` ones take all the time they are given."""

    def __init__(self, moment: list[float], *silent: NodeId) -> None:
        super().__init__(*silent)
        self.moment, self.given = moment, list[Seconds]()

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId, request: str = ""
    ) -> Answer:
        self.given.append(timeout)
        if supernode in self.silent:
            self.moment[0] += timeout
        return super().request(message, timeout, supernode, request)


@pytest.fixture
def asleep(moment: list[float], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes by sleeping and waiting."""

    def sleep(seconds: Seconds) -> None:
        moment[0] += seconds

    monkeypatch.setattr("nm_bus.client.asking.time.sleep", sleep)
    return moment


@pytest.mark.parametrize("question", [Read("ledger"), Read("entry", "role/a"), Query("status")])
def test_a_cheap_question_goes_to_the_next_supernode_after_a_moment(
    asleep: list[float], question: Message
) -> None:
    said: list[str] = []
    asking = Asking(Stuck(asleep, ONE), NODES, LOCAL, said.append)
    assert asking.settled(question, good, timeout=30.0, patience=10.0).ok
    assert asleep[0] - 1000.0 < 3.0
    assert said == [f"{ONE} gave no answer; asking {TWO}"]


def test_what_a_supernode_may_wait_for_is_given_its_whole_time(asleep: list[float]) -> None:
    asking = Asking(Stuck(asleep, ONE), NODES, LOCAL)
    asking.settled(Read("ledger", agreed=True), good, timeout=60.0, patience=10.0)
    assert asleep[0] - 1000.0 == pytest.approx(10.0)


def test_a_slow_supernode_has_its_whole_time_in_the_second_round(asleep: list[float]) -> None:
    bus = Stuck(asleep, *NODES)
    with pytest.raises(TimedOutError):
        Asking(bus, NODES, LOCAL).settled(QUESTION, good, timeout=30.0, patience=10.0)
    assert max(bus.given[:3]) < 3.0
    assert bus.given[3] > 6.0


def test_where_nobody_answers_a_word_comes_soon_and_the_end_names_each(
    asleep: list[float],
) -> None:
    said: list[tuple[float, str]] = []
    asking = Asking(
        Stuck(asleep, *NODES), NODES, LOCAL, lambda text: said.append((asleep[0] - 1000.0, text))
    )
    with pytest.raises(TimedOutError) as raised:
        asking.settled(QUESTION, good, timeout=30.0, patience=10.0)
    assert said[0][0] < 5.0
    assert [text for _, text in said] == [
        f"{ONE} gave no answer; asking {TWO}",
        f"{TWO} gave no answer; asking {THREE}",
        f"{THREE} gave no answer; asking {ONE}",
    ], "once of each, however often they are asked"
    assert all(node in str(raised.value) for node in NODES)
    assert str(raised.value).endswith("see `nm-bus doctor`")
    assert asleep[0] - 1000.0 < 33.0


def test_a_supernode_that_fails_at_once_is_passed_over_without_a_word(
    moment: list[float],
) -> None:
    said: list[str] = []
    assert settled(Asking(Answering(ONE), NODES, LOCAL, said.append)).ok
    assert said == []
    assert moment == [1000.0]


def test_a_refusal_is_given_as_it_is(asleep: list[float]) -> None:
    bus = Stuck(asleep, ONE, TWO)
    bus.codes = {THREE: "not-allowed"}
    with pytest.raises(RefusedError, match=r"^it says not-allowed$"):
        settled(Asking(bus, NODES, LOCAL))


def test_a_change_goes_to_the_next_supernode_within_five_seconds(asleep: list[float]) -> None:
    bus, said = Stuck(asleep, *NODES), list[float]()
    asking = Asking(bus, NODES, LOCAL, lambda _text: said.append(asleep[0] - 1000.0))
    proposing = Proposing(asking, bus.user, lambda change: (change, ""))
    change = proposing.change("set", "policy/a", {}, base=0, expected=None)
    with pytest.raises(UndecidedError, match="see `nm-bus outcome"):
        proposing.agreed(change, 30.0)
    assert said[0] < 5.0

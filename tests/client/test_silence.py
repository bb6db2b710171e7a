"""What is said while supernodes do not answer: by the bus that goes to whichever of them does."""

from typing import Any

import pytest

from nm_bus.client.connection import Bus
from nm_bus.client.silence import Silence, is_cheap, nobody
from nm_bus.errors import ConnectionLostError, NmBusError, RefusedError, TimedOutError
from nm_bus.messages import Answer, Ask, Message, NodeId, Query, Read, Seconds
from nm_bus.settings import AdministratorSettings, Peer

from .conftest import NODES

ONE, TWO, THREE = NODES


class FakeRoute:
    """A way to a supernode; the time passes while a silent one is waited for."""

    def __init__(self, peer: Peer, moment: list[float], silent: set[NodeId]) -> None:
        self.supernode, self.moment, self.silent = peer.node, moment, silent

    def __enter__(self) -> "FakeRoute":
        return self

    def close(self) -> None:
        """Nothing is open."""

    def ask(self, _message: Message, _request: str, timeout: Seconds) -> Answer:
        if self.supernode not in self.silent:
            return Answer("", True, data={"by": self.supernode})
        self.moment[0] += timeout
        raise TimedOutError(f"{self.supernode} gave no answer within {timeout:.0f} s")


@pytest.fixture
def moment() -> list[float]:
    return [1000.0]


@pytest.fixture
def silent(moment: list[float], monkeypatch: pytest.MonkeyPatch) -> set[NodeId]:
    """The supernodes that answer nothing."""
    quiet: set[NodeId] = set()

    def route_to(peer: Peer, *_: Any) -> FakeRoute:
        return FakeRoute(peer, moment, quiet)

    def sleep(seconds: Seconds) -> None:
        moment[0] += seconds

    monkeypatch.setattr("nm_bus.client.connection.route_to", route_to)
    monkeypatch.setattr("nm_bus.client.connection.user_of", lambda _tls: "admin.example")
    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    monkeypatch.setattr("time.sleep", sleep)
    return quiet


def test_a_picture_comes_from_the_next_supernode_after_a_moment(
    settings: AdministratorSettings, silent: set[NodeId], moment: list[float]
) -> None:
    said: list[str] = []
    silent.add(ONE)
    answer = Bus(settings, said.append).request(Query("status"), 10.0)
    assert answer.data == {"by": TWO}
    assert moment[0] - 1000.0 < 3.0
    assert said == [f"{ONE} gave no answer within 2 s; asking {TWO}"]


def test_where_nobody_answers_each_is_named_in_time(
    settings: AdministratorSettings, silent: set[NodeId], moment: list[float]
) -> None:
    said: list[str] = []
    silent.update(NODES)
    with pytest.raises(TimedOutError, match="no supernode could answer: ") as raised:
        Bus(settings, said.append).request(Query("status"), 10.0)
    assert all(f"{node} gave no answer" in str(raised.value) for node in NODES)
    assert len(said) == 3, "once of each, though there are two rounds"
    assert moment[0] - 1000.0 < 13.0


def test_a_question_to_a_member_is_not_hurried(
    settings: AdministratorSettings, silent: set[NodeId], moment: list[float]
) -> None:
    silent.add(ONE)
    Bus(settings).request(Ask("r", "n1.example", "status"), 30.0)
    assert moment[0] - 1000.0 == pytest.approx(10.0)


def test_only_what_is_answered_from_memory_is_cheap() -> None:
    assert is_cheap(Query("status"))
    assert is_cheap(Read("entry", "role/a"))
    assert not is_cheap(Read("entry", "role/a", agreed=True))
    assert not is_cheap(Read("ledger", at_least=7))
    assert not is_cheap(Ask("r", "n1.example", "check"))


def test_each_supernode_is_named_once_whatever_its_reason_says() -> None:
    failures: dict[NodeId, NmBusError] = {
        ONE: ConnectionLostError(f"{ONE}:5671 refuses connections"),
        TWO: TimedOutError("gave no answer"),
    }
    told = nobody(failures, failures[ONE])
    assert type(told) is ConnectionLostError
    assert str(told) == (
        f"no supernode could answer: {ONE}:5671 refuses connections; {TWO}: gave no answer; "
        "see `nm-bus doctor`"
    )
    refused = RefusedError("not known")
    assert nobody(failures, refused) is refused


def test_a_silence_is_news_again_after_an_answer() -> None:
    said: list[str] = []
    silence = Silence(said.append)
    for _ in range(2):
        silence.of(ONE, TimedOutError("gave no answer"), TWO, 3.0)
    silence.broken(ONE)
    silence.of(ONE, TimedOutError("gave no answer"), TWO, 3.0)
    silence.of(TWO, RefusedError("not known"), THREE, 3.0)
    assert said == 2 * [f"{ONE}: gave no answer; asking {TWO}"]

"""What is said while supernodes do not answer, and what that costs who looks at the federation."""

from dataclasses import dataclass, field

import pytest

from nm_bus.client import Client
from nm_bus.client.asking import Silence, is_cheap, nobody
from nm_bus.errors import ConnectionLostError, NmBusError, RefusedError, TimedOutError
from nm_bus.messages import Answer, Ask, Message, NodeId, Query, Read, Seconds
from nm_bus.settings import AdministratorSettings
from nm_bus.testing.carrier import FakeCarrier
from nm_bus.testing.project import FakeProject

from .conftest import ADMIN, NODES

ONE, TWO, THREE = NODES


@dataclass
class Slow(FakeCarrier):
    """Time passes while a silent supernode is waited for."""

    moment: list[float] = field(default_factory=lambda: [1000.0])
    silent: set[NodeId] = field(default_factory=set)

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId, request: str = ""
    ) -> Answer:
        if supernode not in self.silent:
            return super().request(message, timeout, supernode, request)
        self.moment[0] += timeout
        raise TimedOutError(f"{supernode} gave no answer within {timeout:.0f} s")


@pytest.fixture
def slow(project: FakeProject, monkeypatch: pytest.MonkeyPatch) -> Slow:
    carrier = Slow(project.supernodes, ADMIN)

    def sleep(seconds: Seconds) -> None:
        carrier.moment[0] += seconds

    monkeypatch.setattr("time.monotonic", lambda: carrier.moment[0])
    monkeypatch.setattr("time.sleep", sleep)
    return carrier


def test_a_picture_comes_from_the_next_supernode_after_a_moment(
    settings: AdministratorSettings, slow: Slow
) -> None:
    said: list[str] = []
    slow.silent.add(ONE)
    client = Client(settings, timeout=10.0, said=said.append, connect=lambda _: slow)
    assert client.status().answered_by == TWO
    assert slow.moment[0] - 1000.0 < 3.0
    assert said == [f"{ONE} gave no answer within 2 s; asking {TWO}"]


def test_where_nobody_answers_each_is_named_in_time(
    settings: AdministratorSettings, slow: Slow
) -> None:
    said: list[str] = []
    slow.silent.update(NODES)
    client = Client(settings, timeout=10.0, said=said.append, connect=lambda _: slow)
    with pytest.raises(TimedOutError, match="no supernode could answer: ") as raised:
        client.status()
    assert all(f"{node} gave no answer" in str(raised.value) for node in NODES)
    assert len(said) == 3, "once of each, though there are two rounds"
    assert slow.moment[0] - 1000.0 < 13.0


def test_who_looks_does_not_wait_for_supernodes_that_are_down(
    project: FakeProject, settings: AdministratorSettings, slow: Slow
) -> None:
    for node in NODES:
        project.supernodes.by_node[node].kill()
    with pytest.raises(ConnectionLostError, match="no supernode could answer"):
        Client(settings, timeout=10.0, connect=lambda _: slow).status()
    assert slow.moment[0] - 1000.0 < 1.0


def test_a_question_to_a_member_is_not_hurried(settings: AdministratorSettings, slow: Slow) -> None:
    client = Client(settings, timeout=30.0, connect=lambda _: slow)
    client._questions.asking.settled(
        Query("time"), lambda answer, _: answer, timeout=30.0, patience=30.0
    )
    slow.silent.add(ONE)
    start = slow.moment[0]
    with pytest.raises(RefusedError):
        client._questions.ask("n1.example", "status")
    assert slow.moment[0] - start == pytest.approx(10.0)


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

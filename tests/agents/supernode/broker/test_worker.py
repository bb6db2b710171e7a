"""Calls that wait: one after the other, their results on the loop, and never too many."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from nm_agents.supernode.broker.worker import MOST_WAITING, Worker
from nm_bus.errors import NmBusError, RefusedError
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker


class Loop:
    """A loop that runs when the test lets it, and a worker whose results come back to it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        broker = MemoryBroker(self.clock)
        transport = MemoryTransport(broker, self.clock, user="sn1", random=lambda: 0.5)
        self.worker = Worker(transport)
        self.results: list[object] = []

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < deadline
            self.clock.advance(0.01)
            time.sleep(0.001)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.worker.close()


def test_results_and_refusals_come_back_on_the_loop(loop: Loop) -> None:
    threads: list[int] = []

    def refuse() -> int:
        raise RefusedError("the broker says no")

    def done(result: object) -> None:
        threads.append(threading.get_ident())
        loop.results.append(result)

    loop.worker.call(lambda: 7, done)
    loop.worker.call(refuse, done)
    loop.until(lambda: len(loop.results) == 2)
    assert loop.results[0] == 7
    assert isinstance(loop.results[1], RefusedError)
    assert set(threads) == {threading.get_ident()}
    assert loop.worker.waiting == 0


def test_one_more_than_may_wait_is_refused_at_once(loop: Loop) -> None:
    go = threading.Event()
    for _ in range(MOST_WAITING):
        loop.worker.call(lambda: go.wait(30.0), lambda _: None)
    loop.worker.call(lambda: True, loop.results.append)
    loop.clock.advance(0.1)
    (refusal,) = loop.results
    assert isinstance(refusal, NmBusError)
    assert "too much is waiting" in str(refusal)
    go.set()
    loop.until(lambda: loop.worker.waiting == 0)


def test_a_mistake_of_ours_is_not_swallowed(loop: Loop) -> None:
    def divide() -> float:
        return 1 / 0

    loop.worker.call(divide, loop.results.append)
    with pytest.raises(ZeroDivisionError):
        loop.until(lambda: loop.worker.waiting == 0 and False)
    assert loop.results == []

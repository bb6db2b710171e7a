"""Who waits is told once: in time, or that the time is over; and there are never too many."""

from random import Random

from nm_agents.supernode.ledger.waits import WaitingAnswer, Waits
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

ALICE, BOB = "alice.example.org", "bob.example.org"


class Open(Waits):
    """Waits on a virtual clock, and those whose time was over."""

    def __init__(self, most: int = 3, most_of_one: int = 2) -> None:
        self.clock, self.over = VirtualClock(), list[WaitingAnswer]()
        broker = MemoryBroker(self.clock)
        transport = MemoryTransport(broker, self.clock, user="sn1", random=Random(1).random)
        super().__init__(transport, most, most_of_one)

    def wait(self, who: str = ALICE, limit: float = 5.0) -> WaitingAnswer | None:
        return self.begin(who, limit, self.over.append)


def test_a_wait_that_was_ended_is_not_over_later() -> None:
    waits = Open()
    wait = waits.wait()
    assert wait is not None
    assert waits.end(wait)
    assert not waits.end(wait)
    waits.clock.advance(10.0)
    assert waits.over == []
    assert len(waits) == 0


def test_a_wait_whose_time_is_over_is_told_once() -> None:
    waits = Open()
    wait = waits.wait()
    waits.clock.advance(4.0)
    assert waits.over == []
    waits.clock.advance(2.0)
    assert waits.over == [wait]
    assert wait is not None
    assert not waits.end(wait)


def test_nobody_waits_before_this_returns_even_for_no_time() -> None:
    waits = Open()
    wait = waits.wait(limit=0.0)
    assert waits.over == []
    waits.clock.advance(0.1)
    assert waits.over == [wait]


def test_one_who_waits_often_leaves_room_for_others() -> None:
    waits = Open()
    assert waits.wait()
    assert waits.wait()
    assert waits.wait() is None
    first = waits.wait(BOB)
    assert first is not None
    assert waits.wait(BOB) is None
    assert waits.end(first)
    assert waits.wait(BOB)

"""What cannot even be put aside is tried a few times, dropped and said: never read for ever."""

import pytest

from nm_agents.quarantine import TRIES, Quarantine
from nm_bus.codec import Reason, Rejected
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.base import Delivery, Outcome, Outgoing, Published
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

REFUSAL = Rejected(Reason.NOT_JSON, "it is none")


class Carrier(MemoryTransport):
    """A transport whose broker answers as the test says."""

    outcome = Outcome.REFUSED

    def publish(self, message: Outgoing, done: Published | None = None) -> None:
        assert done is not None
        done(self.outcome)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def carrier(clock: VirtualClock) -> Carrier:
    return Carrier(MemoryBroker(clock, "sn1"), clock, user="sn1", random=lambda: 0.5)


def put(quarantine: Quarantine, clock: VirtualClock, body: bytes = b"bad") -> list[bool]:
    kept: list[bool] = []
    delivery = Delivery(body, "requests.member", "query", "n1", "requests.member", 1, 1)
    quarantine.put(delivery, REFUSAL, kept.append)
    clock.advance(2.0)
    return kept


def test_after_some_tries_it_is_dropped_counted_and_said(
    carrier: Carrier, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    quarantine = Quarantine(carrier, "sn1")
    found = [put(quarantine, clock) for _ in range(TRIES)]
    assert found == [[False]] * (TRIES - 1) + [[True]]
    assert (quarantine.dropped, quarantine.count) == (1, 0)
    assert "it is dropped: not-json" in caplog.records[-1].message


def test_a_broker_that_takes_it_at_last_loses_nothing(
    carrier: Carrier, clock: VirtualClock
) -> None:
    quarantine = Quarantine(carrier, "sn1")
    for _ in range(3):
        for _ in range(TRIES - 1):
            assert put(quarantine, clock) == [False]
        carrier.outcome = Outcome.CONFIRMED
        assert put(quarantine, clock) == [True]
        carrier.outcome = Outcome.LOST
    assert (quarantine.dropped, quarantine.count) == (0, 3)

"""Acknowledging many at once, and never what quarantine has not confirmed."""

from dataclasses import dataclass, field

from nm_agents.ingest.service import Acks
from nm_agents.quarantine import PAUSE, Quarantine
from nm_bus.codec import Reason, Rejected
from nm_bus.messages import Seconds
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.base import Delivery, Outcome, Outgoing, Published, Timer
from nm_bus.transport.memory import MemoryTransport


@dataclass
class Notes(MemoryTransport):
    """A transport that notes what it was told to do."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    acked: list[tuple[int, int]] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    sent: list[Published] = field(default_factory=list)

    def now(self) -> Seconds:
        return self.clock.now()

    def later(self, delay, call) -> Timer:  # type: ignore[no-untyped-def]
        return self.clock.later(delay, call)

    def ack(self, delivery: Delivery, *, multiple: bool = False) -> None:
        assert multiple
        self.acked.append((delivery.epoch, delivery.tag))

    def reject(self, delivery: Delivery, *, requeue: bool = False) -> None:
        assert requeue
        self.rejected.append(delivery.tag)

    def publish(self, message: Outgoing, done: Published | None = None) -> None:
        assert done is not None
        self.sent.append(done)


def delivery(tag: int, epoch: int = 1) -> Delivery:
    return Delivery(b"x", "heartbeat", "org.n1", "n1.org", "heartbeat.0", tag, epoch)


def came(*tags: int, epoch: int = 1) -> tuple[Notes, Acks]:
    notes = Notes()
    acks = Acks(notes)
    for tag in tags:
        acks.came(delivery(tag, epoch))
    return notes, acks


def test_all_that_came_is_acknowledged_at_once_and_once() -> None:
    notes, acks = came(1, 2, 3)
    acks.flush()
    acks.flush()
    assert notes.acked == [(1, 3)]
    assert acks.count == 0


def test_nothing_is_acknowledged_past_a_delivery_that_is_held() -> None:
    notes, acks = came(1, 2, 3, 4)
    acks.hold(delivery(3))
    acks.flush()
    assert notes.acked == [(1, 2)]
    acks.release(delivery(3), kept=True)
    acks.flush()
    assert notes.acked == [(1, 2), (1, 4)]


def test_a_delivery_that_is_given_back_is_not_acknowledged_before() -> None:
    notes, acks = came(1, 2)
    acks.hold(delivery(1))
    acks.flush()
    assert notes.acked == []
    acks.release(delivery(1), kept=False)
    assert notes.rejected == [1]
    acks.flush()
    assert notes.acked == [(1, 2)]


def test_only_what_came_up_to_a_delivery_is_acknowledged() -> None:
    notes, acks = came(1, 2, 3)
    acks.flush(delivery(2))
    assert notes.acked == [(1, 2)]
    assert acks.count == 1


def test_a_new_connection_forgets_what_the_old_one_held() -> None:
    notes, acks = came(1, 2)
    acks.hold(delivery(1))
    acks.came(delivery(1, epoch=2))
    acks.release(delivery(1), kept=False)
    acks.flush(delivery(2))
    assert notes.acked == []
    assert notes.rejected == []
    acks.flush()
    assert notes.acked == [(2, 1)]


def test_an_original_is_done_with_only_when_its_record_is_confirmed() -> None:
    notes, kept = Notes(), list[bool]()
    quarantine = Quarantine(notes, "sn1.org")
    rejected = Rejected(Reason.NOT_JSON, "no JSON")
    quarantine.put(delivery(1), rejected, kept.append)
    assert kept == []
    notes.sent[-1](Outcome.CONFIRMED)
    assert (kept, quarantine.count) == ([True], 1)


def test_an_original_whose_record_was_not_taken_is_read_again_after_a_pause() -> None:
    for outcome in (Outcome.NACKED, Outcome.LOST, Outcome.TIMED_OUT):
        notes, kept = Notes(), list[bool]()
        quarantine = Quarantine(notes, "sn1.org")
        quarantine.put(delivery(1), Rejected(Reason.NOT_JSON, "no JSON"), kept.append)
        notes.sent[-1](outcome)
        assert kept == [], "at once would be a circle without end"
        notes.clock.advance(PAUSE)
        assert (kept, quarantine.count) == ([False], 0)

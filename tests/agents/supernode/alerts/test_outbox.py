"""Alerts on their way: none is lost by a crash or an outage, none gets a second id."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from nm_agents.supernode.alerts.outbox import Outbox
from nm_bus.codec import decode
from nm_bus.messages import Alert, AlertState, Event, Seconds, Severity
from nm_bus.storage.memory import MemoryStore
from nm_bus.topology import ALERTS, OUT
from nm_bus.transport.base import Outcome, Outgoing, Published
from nm_bus.transport.memory import MemoryTransport

HERE = "sn1.example.org"
RAISED = Alert(
    "down:n1:1",
    1,
    AlertState.RAISED,
    Severity.CRITICAL,
    "member-down",
    "n1.example.org",
    "n1 is down",
    1.0,
    1.0,
    HERE,
)


class Carrier(MemoryTransport):
    """A transport that confirms what and when the test says."""

    def __init__(self) -> None:
        self.sent: list[tuple[Outgoing, Published | None]] = []

    def now(self) -> Seconds:
        return 1_800_000_000.0

    def publish(self, message: Outgoing, done: Published | None = None) -> None:
        self.sent.append((message, done))

    def settle(self, outcome: Outcome = Outcome.CONFIRMED) -> None:
        _, done = self.sent[-1]
        assert done is not None
        done(outcome)

    def exchanges(self) -> list[str]:
        return [message.exchange for message, _ in self.sent]

    def transitions(self) -> set[str]:
        events = [decode(message.body) for message, _ in self.sent]
        return {event.id for event in events if isinstance(event, Event)}


@dataclass
class Life:
    """One life of a supernode's outbox on a store that outlives it."""

    store: MemoryStore
    carrier: Carrier = field(default_factory=Carrier)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.carrier, self.store, HERE)
        self.active = self.outbox.load()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def raised(store: MemoryStore) -> Life:
    life = Life(store)
    life.outbox.put([RAISED], {"down:n1": RAISED}, "down:n1")
    return life


def test_an_alert_goes_to_subscribers_first_and_then_to_the_peers(store: MemoryStore) -> None:
    life = raised(store)
    assert life.carrier.exchanges() == [ALERTS]
    life.carrier.settle()
    assert life.carrier.exchanges() == [ALERTS, OUT]
    life.carrier.settle()
    life.outbox.again()
    assert life.carrier.exchanges() == [ALERTS, OUT], "nothing is left to be published"


@pytest.mark.parametrize("confirmed", [0, 1])
def test_a_crash_before_the_last_confirm_publishes_it_again_under_the_same_id(
    store: MemoryStore, confirmed: int
) -> None:
    first = raised(store)
    for _ in range(confirmed):
        first.carrier.settle()
    second = Life(store)
    assert second.active == [RAISED]
    second.outbox.again()
    assert second.carrier.exchanges() == [ALERTS]
    assert second.carrier.transitions() == {RAISED.transition}


def test_after_both_confirms_a_restart_publishes_nothing(store: MemoryStore) -> None:
    first = raised(store)
    first.carrier.settle()
    first.carrier.settle()
    second = Life(store)
    second.outbox.again()
    assert second.active == [RAISED]
    assert second.carrier.sent == []


@pytest.mark.parametrize("outcome", [Outcome.NACKED, Outcome.LOST, Outcome.TIMED_OUT])
def test_what_the_broker_did_not_take_goes_again_and_never_twice_at_once(
    store: MemoryStore, outcome: Outcome
) -> None:
    life = raised(store)
    life.outbox.again()
    assert len(life.carrier.sent) == 1, "it is under way"
    life.carrier.settle(outcome)
    life.outbox.again()
    assert len(life.carrier.sent) == 2
    assert life.carrier.transitions() == {RAISED.transition}


def test_a_resolved_alert_is_active_no_longer_after_a_restart(store: MemoryStore) -> None:
    life = raised(store)
    life.outbox.put([], {}, "down:n1")
    assert Life(store).active == []


def test_a_peers_alert_is_published_once_however_often_it_comes(store: MemoryStore) -> None:
    life, done = Life(store), list[bool]()
    life.outbox.relay(RAISED, done.append)
    life.carrier.settle()
    life.outbox.relay(RAISED, done.append)
    assert done == [True, True]
    assert life.carrier.exchanges() == [ALERTS], "and it does not go back to the peers"


def test_a_peers_alert_that_was_not_taken_is_read_and_published_again(store: MemoryStore) -> None:
    life, done = Life(store), list[bool]()
    life.outbox.relay(RAISED, done.append)
    life.carrier.settle(Outcome.LOST)
    life.outbox.relay(RAISED, done.append)
    life.carrier.settle()
    assert done == [False, True]


def test_each_transition_writes_its_own_row_and_no_others(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, written = Life(store), list[int]()
    put_many = store.put_many

    def counted(kind: str, items: Mapping[str, bytes]) -> None:
        written.append(len(items))
        put_many(kind, items)

    monkeypatch.setattr(store, "put_many", counted)
    active: dict[str, Alert] = {}
    for number in range(200):
        key = f"down:n{number}"
        active[key] = msgspec.structs.replace(RAISED, alert=key)
        life.outbox.put([], active, key)
    assert sum(written) == len(active)


def test_a_row_that_cannot_be_read_ends_nothing_and_is_forgotten(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    raised(store)
    store.put_many("alert-active", {"x": b"\xff\xfe", "y": b"{}"})
    store.put_many("alert-outbox", {"z": b"["})
    assert Life(store).active == [RAISED]
    assert len(caplog.records) == 3
    assert Life(store).active == [RAISED]
    assert len(caplog.records) == 3


def test_an_alert_with_a_long_name_is_taken(store: MemoryStore) -> None:
    """A link's alert names two hosts four times."""
    name = f"link-trouble:{'n' * 400}:1"
    alert = msgspec.structs.replace(RAISED, alert=name)
    carrier = Carrier()
    Outbox(carrier, store, HERE).put([alert], {}, name)
    (event,) = (decode(message.body) for message, _ in carrier.sent)
    assert isinstance(event, Event), event
    assert event.data == alert

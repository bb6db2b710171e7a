"""What an ingest process knows after a restart: all that was stored, and nothing of it twice."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from nm_agents.host.inbound import AckedFirst, Channel, taken
from nm_agents.ingest.memory import MEMBERS, MINUTES, Memory
from nm_agents.ingest.reader import PartitionReader
from nm_bus.codec import decode, encode
from nm_bus.core.ingest import Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.core.windows import Windows
from nm_bus.errors import StorageError
from nm_bus.messages import Event, Heartbeat, Metrics, domain_key
from nm_bus.storage.memory import MemoryStore
from nm_bus.transport.base import Delivery, Transport

NODE, OTHER = "n1.example.org", "n2.example.org"
START = 1_800_000_000.0
ALL = 1_000


@dataclass
class Life:
    """One life of an ingest process, from what is stored to its end."""

    store: MemoryStore
    now: float = START
    windows: Windows = field(default_factory=Windows)

    def __post_init__(self) -> None:
        pipe = Pipe("heartbeat.0", 3.0)
        self.ingest = Ingest("sn1.example.org", 0, "life", pipe)
        self.reader = PartitionReader(self.ingest, self.windows, {pipe.path: pipe})
        self.memory = Memory(self.store, self.ingest, self.windows)
        self.memory.load(self.now)

    def take(self, message: Heartbeat | Metrics, node: str = NODE) -> None:
        body = encode(message, source=node, id="x", time=self.now)
        delivery = Delivery(body, "metrics", domain_key(node), node, "metrics.0", 1, 1)
        channel = Channel("metrics.0", self.reader.vouch, AckedFirst(cast(Transport, None)))
        assert taken(channel, delivery, self.now) is None
        self.memory.changed(node)

    def keep(self) -> None:
        assert self.memory.begin()
        assert self.memory.step(ALL)

    def count(self, node: str = NODE) -> int:
        series = self.windows.series(node, "host.load.1m", self.now)
        return 0 if series is None or series.hour is None else series.hour.rollup.count


def sample(sequence: int, value: float = 1.0) -> Metrics:
    return Metrics("boot", sequence, 0.0, {"host.load.1m": value})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_restart_loses_nothing_that_was_stored(store: MemoryStore) -> None:
    first = Life(store)
    first.take(Heartbeat("boot", 7, 5.0, 1.0, "nm-bus/0.1.0"))
    for sequence in range(1, 6):
        first.take(sample(sequence))
    first.keep()
    second = Life(store)
    assert second.ingest.members == first.ingest.members
    assert second.windows.node(NODE, START) == first.windows.node(NODE, START)


def test_metrics_that_are_read_again_after_a_restart_count_once(store: MemoryStore) -> None:
    first = Life(store)
    for sequence in range(1, 6):
        first.take(sample(sequence))
    first.keep()
    second = Life(store)
    for sequence in range(1, 9):
        second.take(sample(sequence))
    assert second.count() == 8


def test_metrics_read_after_the_last_storing_are_read_again_and_count(store: MemoryStore) -> None:
    first = Life(store)
    first.take(sample(1))
    first.keep()
    first.take(sample(2))
    second = Life(store)
    assert second.count() == 1
    second.take(sample(1))
    second.take(sample(2))
    assert second.count() == 2


def test_a_member_is_stored_as_it_is_at_its_turn_in_the_cycle(store: MemoryStore) -> None:
    first = Life(store)
    first.take(sample(1))
    first.memory.begin()
    first.take(sample(2))
    first.memory.step(ALL)
    second = Life(store)
    second.take(sample(2))
    assert second.count() == 2


def test_minutes_of_the_whole_hour_are_stored_over_many_cycles(store: MemoryStore) -> None:
    first = Life(store)
    for minute in range(60):
        first.now = START + 60 * minute
        first.take(sample(minute + 1))
        first.keep()
    assert Life(store, first.now).count() == 60


def test_only_the_minutes_that_changed_are_written(store: MemoryStore) -> None:
    life = Life(store)
    life.take(sample(1))
    life.take(sample(1), OTHER)
    life.keep()
    before = dict(store.load(MINUTES))
    life.now = START + 1800
    life.take(sample(2))
    life.keep()
    added = dict(store.load(MINUTES)).items() - before.items()
    assert [key.rpartition("/")[0] for key, _ in added] == [NODE]


def test_a_minute_that_was_not_told_yet_is_told_after_a_restart(store: MemoryStore) -> None:
    first = Life(store)
    first.take(sample(1))
    first.keep()
    (page,) = Life(store).windows.close(START + 120)
    assert set(page.nodes) == {NODE}


def test_a_cycle_stores_a_few_members_at_a_time(store: MemoryStore) -> None:
    life = Life(store)
    life.take(sample(1))
    life.take(sample(1), OTHER)
    assert life.memory.begin()
    assert not life.memory.step(1)
    assert not life.memory.begin()
    assert life.memory.step(1)
    assert {node for node, _ in store.load(MEMBERS)} == {NODE, OTHER}


def test_what_is_saved_at_the_end_includes_a_cycle_under_way(store: MemoryStore) -> None:
    life = Life(store)
    life.take(sample(1))
    life.memory.begin()
    life.take(sample(1), OTHER)
    life.memory.save()
    again = Life(store)
    assert (again.count(), again.count(OTHER)) == (1, 1)


def test_nothing_is_left_on_disk_of_a_member_that_is_forgotten(store: MemoryStore) -> None:
    life = Life(store)
    life.take(sample(1))
    life.keep()
    life.now += 1800
    life.take(sample(2))
    life.keep()
    life.ingest.members.clear()
    life.windows.forget(NODE)
    life.memory.changed(NODE)
    life.keep()
    assert not [*store.load(MEMBERS), *store.load(MINUTES)]


def test_a_row_of_another_layout_is_left_out_with_its_minutes(store: MemoryStore) -> None:
    life = Life(store)
    life.take(sample(1))
    life.keep()
    store.put_many(MEMBERS, {NODE: b"\xc1"})
    again = Life(store)
    again.take(sample(1))
    assert again.count() == 1


class FullStore(MemoryStore):
    """A disk that is full once the members' rows are written."""

    def put_many(self, kind: str, items: dict[str, bytes]) -> None:  # type: ignore[override]
        if kind == MINUTES:
            raise StorageError("the disk is full")
        super().put_many(kind, items)


def test_of_a_write_that_failed_nothing_is_stored() -> None:
    store = FullStore()
    life = Life(store)
    life.take(sample(1))
    life.memory.begin()
    with pytest.raises(StorageError):
        life.memory.step(ALL)
    assert not list(store.load(MEMBERS))


def test_what_was_heard_before_the_clock_was_set_back_is_heard_now(store: MemoryStore) -> None:
    """A negative age would make everybody refuse what is said of all members."""
    first = Life(store, now=START + 3_600.0)
    first.take(Heartbeat("boot", 1, 5.0, 1.0, "x"))
    first.keep()
    (told,) = Life(store).ingest.roster(START)
    body = encode(told, source="sn1.example.org", id="x", time=START)
    assert isinstance(decode(body), Event)
    assert told.members[0].heard == 0.0


def test_rows_that_cannot_be_read_are_left_out_and_the_log_counts_them(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    first = Life(store)
    first.take(Heartbeat("boot", 1, 5.0, 1.0, "x"))
    first.keep()
    store.put_many(MEMBERS, {OTHER: b"\xc1", "n3.example.org": b"\xc1"})
    store.put_many(MINUTES, {f"{NODE}/0": b"\xc1"})
    assert [member.node for member in Life(store).ingest.members.values()] == [NODE]
    assert [record.getMessage() for record in caplog.records] == [
        "ingest.0.db: 2 rows of kind 'member' cannot be read, and are left out",
        "ingest.0.db: 1 rows of kind 'minutes' cannot be read, and are left out",
    ]

"""Locks and sessions, and joins by the thousand, push no document out of a ledger's history."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from nm_agents.supernode.ledger.composing import state_of
from nm_agents.supernode.ledger.earlier import EarlierUpdates
from nm_agents.supernode.ledger.machine import LedgerMachine
from nm_agents.supernode.ledger.post import Post
from nm_agents.supernode.ledger.transaction import Moved, keep
from nm_bus.core.ledger.effects import KeepBatch
from nm_bus.core.ledger.genesis import INCARNATION
from nm_bus.core.ledger.voters import voter_id
from nm_bus.messages import Batch, Change, Mark
from nm_bus.project import FirstSupernode, Project
from nm_bus.storage import retention
from nm_bus.storage.ledger import SqliteLedger, open_ledger
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

from .conftest import ADMIN, PROJECT, make_ledger

ME = "sn1.example.org"
VOTER = voter_id(ME, INCARNATION)
SECOND = 1_000_000
RUNS = 20_000


@dataclass
class Writer:
    """A ledger that decides alone: many changes an event, as its driver writes them down."""

    store: SqliteLedger
    machine: LedgerMachine
    slot: int = 0
    asked: int = 0
    time: int = 1_700_000_000 * SECOND
    waiting: list[Change] = field(default_factory=list)

    def add(self, kind: str, key: str, value: dict[str, object] | None = None) -> None:
        self.asked += 1
        id = f"{ADMIN}/a/{self.asked}"
        base = self.machine.state.revision
        self.waiting.append(Change(id, ADMIN, kind, key, base, value, timestamp=self.asked))

    def decide(self, seconds: int) -> None:
        """Let what was added be agreed, so much later."""
        self.slot += 1
        self.time += seconds * SECOND
        batch = Batch(VOTER, self.time, tuple(self.waiting))
        self.waiting.clear()
        self.machine.begin()
        self.machine.apply(self.slot, batch)
        state = self.machine.state
        position = replace(
            self.store.position,
            height=self.slot,
            revision=state.revision,
            head=state.head,
            time=state.time,
        )
        applied, answers, marks = self.machine.applied, self.machine.answers, self.machine.marks
        assert {each.answer.state for each in applied} == {"agreed"}, applied[0].answer
        kept = [KeepBatch(self.slot, batch)]
        keep(self.store, Moved(kept, applied, answers, marks, position, {}), state)

    def put(self, name: str, content: str = "x") -> None:
        self.add("set", f"config/{name}/document", {"content": content})

    def run_under_a_lock(self) -> None:
        """Three revisions: open, lock and close."""
        session = f"session/{ADMIN}/s{self.asked}"
        self.add("open", session, {"ttl": 30_000})
        self.add("lock", f"lock/l{self.asked % 7}", {"session": session})
        self.add("close", session)

    def kept(self, key: str = "", *, without_locks: bool = False) -> int:
        """After which revision all is kept."""
        clock = VirtualClock()
        here = MemoryTransport(MemoryBroker(clock, ME), clock, user=ME, random=lambda: 0.5)
        earlier = EarlierUpdates(self.store, Post(here, self.store.identity, frozenset(), Mark(0)))
        return earlier.kept_of(key, 0.0, without_locks=without_locks)[0]

    def count(self, group: str) -> int:
        query = "SELECT count(*) FROM feed WHERE of_group = ?"
        ((found,),) = self.store._file.rows(query, (group,))
        return int(found)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    path = tmp_path / "ledger.db"
    make_ledger(path, ME, Project(PROJECT, (FirstSupernode(ME),), (ADMIN,)))
    with closing(open_ledger(path)) as store:
        yield Writer(store, LedgerMachine(VOTER, state_of(store)))


def test_twenty_thousand_lock_runs_leave_every_version_of_every_document(writer: Writer) -> None:
    for event in range(RUNS // 100):
        writer.put("thredds", f"{event}")
        if event % 10 == 0:
            writer.put("search")
        for _ in range(100):
            writer.run_under_a_lock()
        writer.decide(100)
    store, state = writer.store, writer.machine.state
    assert state.revision == 3 * RUNS + RUNS // 100 + RUNS // 1_000
    versions = store.history("config/thredds/document", 0, 1_000)
    contents = [(update.change.value or {})["content"] for update in versions]
    assert contents == [f"{event}" for event in reversed(range(RUNS // 100))]
    assert writer.kept("config/thredds/document") == writer.kept("config/search/document") == 0
    assert writer.kept("role/somebody") == writer.kept(without_locks=True) == 0
    shown = store.history("", 0, 1_000, without_locks=True)
    assert len(shown) == RUNS // 100 + RUNS // 1_000
    assert writer.count("lock") == retention.bounds_of("lock").most
    last = store.position.feed_from
    assert writer.kept("lock/l0") == writer.kept() == last > 0
    assert [one.revision for one in store.updates(last, 3)] == [last + 1, last + 2, last + 3]


def test_locks_are_kept_for_a_day_and_the_last_of_them_longer(writer: Writer) -> None:
    least = retention.bounds_of("lock").least
    for hour in range(72):
        for _ in range(25):
            writer.run_under_a_lock()
        writer.decide(3_600)
        assert writer.count("lock") == min(75 * (hour + 1), least)


def test_joins_by_the_thousand_leave_the_documents_and_the_locks(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(retention.BOUNDS, "member", retention.Bounds(200, 1, 500, 2**30))
    writer.put("thredds")
    writer.run_under_a_lock()
    writer.decide(1)
    for event in range(10):
        for number in range(100):
            writer.add("join", f"member/n{event}-{number}.example.org", {})
        writer.decide(100)
    assert writer.kept("config/thredds/document") == writer.kept("lock/l1") == 0
    assert len(writer.store.history("config/thredds/document", 0, 9)) == 1
    assert writer.count("member") == 200
    assert writer.kept("member/n9-1.example.org") == 4 + 800
    assert writer.kept(without_locks=True) == 4 + 800


def test_documents_that_are_not_kept_are_said_and_locks_stay(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(retention.BOUNDS, "config", retention.Bounds(5, 1, 10, 2**30))
    writer.put("old")
    writer.run_under_a_lock()
    for number in range(20):
        writer.put("new", f"{number}")
    writer.decide(1)
    writer.put("newest")
    writer.decide(100)
    assert writer.kept("config/old/document") > 0
    assert writer.kept("config/new/document") > 0
    assert writer.kept("config/newest/document") == 0, "it is whole, though the others are not"
    assert writer.kept("lock/l1") == 0
    assert writer.count("config") == 5

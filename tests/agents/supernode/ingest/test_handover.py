"""A changed number of ingest processes: nobody is called down, nobody who is down disappears."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from nm_agents.ingest.memory import INHERITED, MEMBERS, MINUTES, database
from nm_agents.supernode.ingest.handover import hand_over, share
from nm_bus.core.ingest import IngestedMember
from nm_bus.messages import Health, domain_key
from nm_bus.storage.memory import MemoryStore
from nm_bus.storage.sqlite import open_store

from ..conftest import Simulation

HERE, THERE = "sn1.example.org", "sn2.example.org"
MEMBERS_HERE = tuple(f"n{n}.example.org" for n in range(12))
DEAD = MEMBERS_HERE[3]

Make = Callable[..., Simulation]


def advance(simulation: Simulation, seconds: float, *, down: set[str]) -> None:
    """Let time pass; all the while, each supernode calls just these down, or doubts."""
    for _ in range(int(seconds * 2)):
        simulation.clock.advance(0.5)
        for site in simulation.sites.values():
            said = {node: site.health(node) for node in MEMBERS_HERE}
            assert {node for node, health in said.items() if health is Health.DOWN} <= down
            assert None not in said.values(), "nobody is missing"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("numbers", [(1, 2, 1), (3, 2, 4)])
def test_the_processes_find_out_whose_each_member_is(
    make_simulation: Make, seed: int, numbers: tuple[int, ...]
) -> None:
    simulation = make_simulation(HERE, THERE, seed=seed)
    simulation.connect()
    site = simulation.sites[HERE]
    simulation.start()
    for node in MEMBERS_HERE:
        simulation.member(node, HERE)
    simulation.clock.advance(10.0)
    simulation.members[DEAD].kill()
    advance(simulation, 60.0, down={DEAD})
    simulation.heard[THERE].clear()
    for number in numbers:
        before = {node: talker.samples for node, talker in simulation.members.items()}
        site.kill()
        simulation.clock.advance(simulation.random.uniform(0.5, 5.0))
        site.share_among(number)
        advance(simulation, 60.0, down={DEAD})
        assert {len(site.homes(node)) for node in MEMBERS_HERE} == {1}
        for node, samples in before.items():
            windows = site.ingests[site.homes(node)[0]].reader.windows
            series = windows.series(node, "host.load.1m", simulation.clock.now())
            assert series is not None
            assert series.hour is not None
            assert series.hour.rollup.count >= samples - 1
        for each in simulation.sites.values():
            streams = each.view.streams
            assert [n for origin, n in sorted(streams) if origin == HERE] == list(range(number))
            assert each.health(DEAD) is Health.DOWN
            assert [alert.subject for alert in each.active()] == [DEAD]
    assert {alert.state for alert in simulation.heard[THERE]} <= {"raised"}


def stored(store: MemoryStore, node: str, heard: float, *, inherited: bool = False) -> None:
    member = IngestedMember(node, domain_key(node), heard=heard, changed=heard)
    store.put_many(MEMBERS, {node: msgspec.msgpack.encode(member)})
    store.put_many(MINUTES, {f"{node}/0": str(heard).encode()})
    if inherited:
        store.put_many(INHERITED, {node: b"1"})


def test_every_process_inherits_everybody_by_the_word_that_counts() -> None:
    stores = [MemoryStore(), MemoryStore(), MemoryStore()]
    stored(stores[0], "a.b", 5.0)
    stored(stores[1], "a.b", 9.0)
    stored(stores[1], "c.d", 3.0)
    stored(stores[2], "c.d", 7.0, inherited=True)
    share(stores, 2)
    for store in stores[:2]:
        members = {key: msgspec.msgpack.decode(body, type=IngestedMember).heard
                   for key, body in store.load(MEMBERS)}  # fmt: skip
        assert members == {"a.b": 9.0, "c.d": 3.0}, "fresher counts, and sure before inherited"
        assert dict(store.load(MINUTES)) == {"a.b/0": b"9.0", "c.d/0": b"3.0"}
        assert [key for key, _ in store.load(INHERITED)] == ["a.b", "c.d"]


def test_files_are_shared_once_and_those_of_no_process_go(tmp_path: Path) -> None:
    own = MemoryStore()
    hand_over(tmp_path, 2, own)
    assert list(tmp_path.iterdir()) == [], "there was nothing to share"
    for n in range(2):
        store = open_store(database(tmp_path, n))
        member = IngestedMember(f"n{n}.b", f"b.n{n}", heard=1.0, changed=1.0)
        store.put_many(MEMBERS, {f"n{n}.b": msgspec.msgpack.encode(member)})
        store.close()
    hand_over(tmp_path, 1, own)
    hand_over(tmp_path, 1, own)
    assert [file.name for file in tmp_path.glob("*.db")] == ["ingest.0.db"]
    store = open_store(database(tmp_path, 0))
    assert [key for key, _ in store.load(MEMBERS)] == ["n0.b", "n1.b"]
    store.close()


@pytest.mark.parametrize("is_cut_short", [False, True])
def test_nothing_of_a_process_that_is_no_more_is_left_but_its_lock(
    is_cut_short: bool, tmp_path: Path
) -> None:
    """`is_cut_short`: the new number was kept, and the program ended before it removed files."""
    own = MemoryStore()
    hand_over(tmp_path, 1 if is_cut_short else 11, own)
    suffixes = ("db", "db-wal", "db-shm", "inhand", "suspects", "lock")
    for n in (0, 1, 10):
        open_store(database(tmp_path, n)).close()
        for suffix in suffixes:
            (tmp_path / f"ingest.{n}.{suffix}").touch()
    others = {"supernode.inhand", "ingest.notes.txt"}
    for name in others:
        (tmp_path / name).touch()
    hand_over(tmp_path, 1, own)
    first = {f"ingest.0.{suffix}" for suffix in suffixes}
    left = {file.name for file in tmp_path.iterdir()} | first
    assert left == first | others | {"ingest.1.lock", "ingest.10.lock"}
    assert {"ingest.0.inhand", "ingest.0.suspects"} <= {file.name for file in tmp_path.iterdir()}

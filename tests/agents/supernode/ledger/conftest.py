"""Supernodes with ledgers in real files, on memory brokers and links that misbehave."""

import shutil
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

from nm_agents.supernode.ledger.composing import start_life
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.upgrade import Upgrade
from nm_bus.codec import decode
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.genesis import INCARNATION, genesis
from nm_bus.core.ledger.kinds import RULEBOOK, Rulebook
from nm_bus.grants import grant, link_user
from nm_bus.identity.role import Role
from nm_bus.messages import Change, Event, Ledger, NodeId, Proposed, Seconds
from nm_bus.project import FirstSupernode, Project, identity
from nm_bus.settings import WAN, Timing
from nm_bus.storage.ledger import LedgerIdentity, create_ledger, open_ledger
from nm_bus.storage.position import Position
from nm_bus.testing.clock import VirtualClock
from nm_bus.testing.links import SimulatedLink, Trouble
from nm_bus.topology import (
    PEER_BYTES,
    LinkKind,
    Sizes,
    link_topology,
    peer_queue,
    project_topology,
)
from nm_bus.transport.base import Delivery, Timer
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

ADMIN = "admin.example.org"
PROJECT = "test"


class Process(MemoryTransport):
    """A program's transport; when its process is dead, no timer of it rings any more."""

    dead = False
    ahead: Seconds = 0.0
    """How wrong its host's clock is."""

    def now(self) -> Seconds:
        return super().now() + self.ahead

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer:
        return super().later(delay, lambda: None if self.dead else call())

    def kill(self) -> None:
        self.dead = True
        self.stop()


@dataclass
class Site:
    """One supernode: its broker and its file, which outlive its lives."""

    node: NodeId
    path: Path
    peers: tuple[NodeId, ...]
    clock: VirtualClock
    random: Random
    timing: Timing
    broker: MemoryBroker
    applied: list[Applied] = field(default_factory=list)
    answers: dict[str, Proposed] = field(default_factory=dict)
    process: Process | None = None
    book: Rulebook = field(default_factory=lambda: RULEBOOK)
    """The versions of the rules that its program knows."""
    ledger: LedgerDriver = field(init=False, repr=False)
    _lives: int = 0

    def start(self, ahead: Seconds = 0.0) -> LedgerDriver:
        self._lives += 1
        self.process = process = Process(
            self.broker, self.clock, user=self.node, random=self.random.random
        )
        process.ahead = ahead
        self.ledger = ledger = start_life(
            open_ledger(self.path),
            process,
            self.timing,
            self.peers,
            nonce=f"{self.random.getrandbits(64):016x}",
            random=self.random.random,
            witness=partial(witnessed, self.node),
            book=self.book,
        )
        Upgrade(ledger).start()
        ledger.on_applied(self.applied.extend)
        for peer in self.peers:
            for kind in LinkKind:
                process.consume(peer_queue(peer, kind), partial(self._take, process, ledger, peer))
        process.start()
        ledger.start()
        return ledger

    def _take(
        self, process: Process, ledger: LedgerDriver, peer: NodeId, delivery: Delivery
    ) -> None:
        event = decode(delivery.body, limit=PEER_BYTES)
        assert isinstance(event, Event), event
        assert isinstance(event.data, Ledger)
        assert ledger.take(peer, event.data) is None
        process.ack(delivery)

    def kill(self) -> None:
        """Gone without a word, as by kill -9: what was committed is there."""
        if self.process is not None:
            self.process.kill()
            self.ledger.store.close()
            self.process = None

    def put(self, number: int, asker: str = "") -> str:
        """An administrator's change, under an id that is the same when it is asked again."""
        name = asker or self.node
        change = Change(
            id=f"{ADMIN}/{name}/{number}",
            actor=ADMIN,
            kind="set",
            key=f"config/{name}/document",
            value={"content": f"{number}"},
        )
        return self.ledger.propose(change, partial(self._answered, change.id))

    def _answered(self, id: str, answer: Proposed) -> None:
        assert self.answers.setdefault(id, answer) == answer


@dataclass
class Crowd:
    """Supernodes of one project, all joined by links in both directions."""

    clock: VirtualClock
    random: Random
    sites: dict[NodeId, Site] = field(default_factory=dict)
    links: list[SimulatedLink] = field(default_factory=list)

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites.values())

    def lose(self, origins: Iterable[Site], peers: Iterable[Site]) -> None:
        """Nothing that these say arrives at those."""
        lost = {(one.node, other.node) for one in origins for other in peers}
        ends = [pair for pair in permutations(self.sites, 2) for _ in LinkKind]
        for link, pair in zip(self.links, ends, strict=True):
            if pair in lost:
                link.trouble = Trouble(delay=0.05, loss=1.0)

    def heal(self) -> None:
        """Everything arrives again."""
        for link in self.links:
            link.trouble = Trouble(delay=0.05)

    def settle(self, limit: Seconds = 600.0) -> None:
        """Until all have the same ledger, and nothing waits."""
        self.clock.run(self.is_settled, limit)

    def is_settled(self) -> bool:
        alive = [site.ledger for site in self if site.process is not None]
        heads = {(one.height, one.state.revision, one.state.head) for one in alive}
        return len(heads) == 1 and not any(one.agreement.outbox for one in alive)

    def awake(self) -> None:
        """Until all vote."""
        self.clock.run(lambda: all(site.ledger.is_awake for site in self), 60.0)


def make_ledger(path: Path, node: NodeId, project: Project) -> None:
    state = genesis(project)
    create_ledger(
        path,
        LedgerIdentity(project.project, node, INCARNATION, state.epoch, identity(project)),
        Position(height=0, head=state.head),
        state.entries.values(),
    ).close()


def witnessed(node: NodeId, text: bytes) -> tuple[str, str]:
    """What stands for a signature: whose it is, and of what."""
    return sha256(node.encode()).hexdigest(), b64encode(text).decode()


Make = Callable[..., Crowd]


@pytest.fixture
def make_crowd(tmp_path: Path) -> Iterator[Make]:
    made: list[Crowd] = []

    def make(
        count: int, *, trouble: Trouble | None = None, seed: int = 1, timing: Timing = WAN
    ) -> Crowd:
        clock, random = VirtualClock(), Random(seed)
        crowd = Crowd(clock, random)
        names = tuple(f"sn{n}.example.org" for n in range(1, count + 1))
        project = Project(PROJECT, tuple(map(FirstSupernode, names)), (ADMIN,))
        for name in names:
            peers = tuple(peer for peer in names if peer != name)
            broker = MemoryBroker(clock, name)
            broker.declare(project_topology(Sizes()))
            for peer in peers:
                broker.declare(link_topology(peer, Sizes()))
                broker.admit(grant(Role.LINK, link_user(peer)))
            broker.admit(grant(Role.SUPERNODE, name))
            path = tmp_path / f"{name}.db"
            make_ledger(path, name, project)
            crowd.sites[name] = Site(name, path, peers, clock, random, timing, broker)
        for here, there in permutations(crowd, 2):
            for kind in LinkKind:
                link = SimulatedLink(
                    clock,
                    random.random,
                    source=(here.node, here.broker),
                    destination=(there.node, there.broker),
                    kind=kind,
                    trouble=trouble or Trouble(delay=0.05),
                )
                link.open()
                crowd.links.append(link)
        for site in crowd:
            site.start()
        made.append(crowd)
        return crowd

    yield make
    for crowd in made:
        for site in crowd:
            site.kill()


def disk_of(site: Site) -> dict[Path, bytes]:
    """A running supernode's file as it is now: what a disk has when it loses what comes after."""
    return {path: path.read_bytes() for path in site.path.parent.glob(f"{site.path.name}*")}


def lose_since(site: Site, disk: dict[Path, bytes]) -> None:
    """The machine fails, and its disk has lost all that was written since then."""
    site.kill()
    for path in site.path.parent.glob(f"{site.path.name}*"):
        path.unlink()
    for path, content in disk.items():
        path.write_bytes(content)


def copy_of(path: Path, name: str) -> Path:
    """A copy of a file that nobody has open, as a backup makes one."""
    return Path(shutil.copy(path, path.with_name(name)))

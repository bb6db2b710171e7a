"""A federation in memory: brokers, links that misbehave, supernodes and members, on one clock."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, permutations
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from nm_agents.ingest.program import compose as compose_ingest
from nm_agents.ingest.service import IngestService
from nm_agents.inhand import InHand
from nm_agents.quarantine import Quarantine
from nm_agents.supernode.alerts.part import AlertsPart
from nm_agents.supernode.broker.connections import RefusalsPart
from nm_agents.supernode.broker.worker import Worker
from nm_agents.supernode.host import SupernodeHost
from nm_agents.supernode.ingest.children import Children
from nm_agents.supernode.ingest.handover import share
from nm_agents.supernode.ingest.part import IngestPart
from nm_agents.supernode.program import compose as compose_supernode
from nm_broker.project import topology_of
from nm_bus.checking.check import found
from nm_bus.codec import decode, encode
from nm_bus.core.view import View
from nm_bus.grants import grant, link_user
from nm_bus.identity.role import Role
from nm_bus.messages import (
    Alert,
    Answer,
    Event,
    Health,
    Heartbeat,
    Message,
    Metrics,
    NodeId,
    Seconds,
    domain_key,
)
from nm_bus.settings import Broker, Limits, Peer, SupernodeSettings, Tls
from nm_bus.storage.memory import MemoryStore
from nm_bus.testing.clock import VirtualClock
from nm_bus.testing.links import SimulatedLink, Trouble
from nm_bus.topology import (
    ALERTS,
    HEARTBEAT,
    METRICS,
    Binding,
    LinkKind,
    Queue,
    Topology,
    heartbeat_queue,
    metrics_queue,
    request_exchange,
    request_key,
    thrown_queue,
)
from nm_bus.transport.base import Delivery, Outgoing, Timer
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

NOWHERE = Tls(Path("ca"), Path("certificate"), Path("key"))
ADMIN = "admin.example.org"
EAR = "ear"


class Process(MemoryTransport):
    """A program's transport; when its process is dead, no timer of it rings any more."""

    dead = False

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer:
        return super().later(delay, lambda: None if self.dead else call())

    def kill(self) -> None:
        """It ends at once: nothing more is read, or waited for."""
        self.dead = self._stopping = True
        self._drain(self._clock.now())


@dataclass
class Site:
    """One supernode with its broker; what it stores outlives its processes."""

    settings: SupernodeSettings
    clock: VirtualClock
    broker: MemoryBroker
    random: Random
    store: MemoryStore = field(default_factory=MemoryStore)
    shares: dict[int, MemoryStore] = field(default_factory=lambda: defaultdict(MemoryStore))
    service: SupernodeHost = field(init=False, repr=False)
    ingests: list[IngestService] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    in_hand: InHand | None = None
    """The marker that the supernode's next life is given."""

    @property
    def node(self) -> NodeId:
        return self.settings.node

    def start(self) -> None:
        transport = self.process(self.node)
        worker = Worker(transport)
        self.workers.append(worker)
        self.service = compose_supernode(
            self.settings,
            Path("none"),
            transport,
            self.store,
            worker=worker,
            watch=None,
            judge=lambda check, done: done(found(check)),
            in_hand=self.in_hand,
        )
        self.service.part(IngestPart).children = Children(Path("none"), 0, self.random.random)
        self.service.start()
        transport.start()
        self.ingests = [self.ingest(n) for n in range(self.settings.limits.partitions)]

    def ingest(self, partition: int, in_hand: InHand | None = None) -> IngestService:
        transport, store = self.process(self.node), self.shares[partition]
        service = compose_ingest(self.settings, partition, transport, store, in_hand)
        service.start()
        transport.start()
        return service

    def process(self, user: str) -> Process:
        process = Process(self.broker, self.clock, user=user, random=self.random.random)
        self.processes.append(process)
        return process

    def kill(self) -> None:
        """All its processes are gone without a word."""
        for process in self.processes:
            process.kill()
        self.processes.clear()

    def share_among(self, partitions: int) -> None:
        """Begin its next life with another number of ingest processes."""
        before = self.settings.limits.partitions
        stores = [self.shares[n] for n in range(max(before, partitions))]
        share(stores, partitions)
        self.shares = defaultdict(MemoryStore, enumerate(stores[:partitions]))
        self.settings = structs.replace(self.settings, limits=Limits(partitions=partitions))
        for n in range(partitions, before):
            for queue in (heartbeat_queue(n), metrics_queue(n), thrown_queue(n)):
                self.broker.delete_queue(queue)
        self.start()

    def homes(self, node: NodeId) -> list[int]:
        """The ingest processes that have a member."""
        return [i.ingest.partition for i in self.ingests if domain_key(node) in i.ingest.members]

    @property
    def view(self) -> View:
        return self.service.view

    @property
    def alerts(self) -> AlertsPart:
        return self.service.part(AlertsPart)

    @property
    def quarantine(self) -> Quarantine:
        return self.service.part(RefusalsPart).quarantine

    def health(self, node: NodeId) -> Health | None:
        member = self.view.member(node, self.clock.now())
        return member.state.health if member else None

    def reason(self, node: NodeId) -> str:
        member = self.view.member(node, self.clock.now())
        assert member is not None
        return member.state.reason

    def active(self) -> list[Alert]:
        return self.alerts.active()


@dataclass
class Talker:
    """A member that says that it lives, and measures one value."""

    node: NodeId
    transport: Process
    interval: Seconds = 5.0
    boot: str = "boot"
    beats: int = 0
    samples: int = 0

    def start(self) -> None:
        self.transport.start()
        self.transport.later(0.1, self._tick)

    def _tick(self) -> None:
        self.beat()
        self.sample()
        self.transport.later(self.interval, self._tick)

    def beat(self, *, leaving: bool = False) -> None:
        self.beats += 1
        beat = Heartbeat(self.boot, self.beats, self.interval, 1.0, "x", leaving=leaving)
        self.say(HEARTBEAT, beat)

    def sample(self) -> None:
        self.samples += 1
        self.say(METRICS, Metrics(self.boot, self.samples, 0.0, {"host.load.1m": 1.0}))

    def say(self, exchange: str, message: Message) -> None:
        body = encode(message, source=self.node, id="m", time=self.transport.now())
        self.transport.publish(Outgoing(exchange, domain_key(self.node), body))

    def kill(self) -> None:
        self.transport.kill()


@dataclass
class Simulation:
    """A federation: its sites, the links between them, and what administrators hear at each."""

    clock: VirtualClock
    random: Random
    sites: dict[NodeId, Site] = field(default_factory=dict)
    links: list[SimulatedLink] = field(default_factory=list)
    members: dict[NodeId, Talker] = field(default_factory=dict)
    heard: dict[NodeId, list[Alert]] = field(default_factory=dict)
    _asks: Iterator[int] = field(default_factory=count)

    def build(self, names: tuple[NodeId, ...]) -> None:
        for name in names:
            peers = tuple(Peer(peer, Broker(peer)) for peer in names if peer != name)
            settings = SupernodeSettings(
                "test", name, Path("state"), Broker(name), NOWHERE, peers=peers, network="local"
            )
            broker = MemoryBroker(self.clock, name)
            self.sites[name] = Site(settings, self.clock, broker, self.random)
            broker.declare(topology_of(settings))
            broker.declare(Topology(queues=(Queue(EAR),), bindings=(Binding(ALERTS, EAR),)))
            broker.admit(grant(Role.SUPERNODE, name))
            broker.admit(grant(Role.ADMINISTRATOR, ADMIN))
            for peer in peers:
                broker.admit(grant(Role.LINK, link_user(peer.node)))
            self._listen(name, broker)

    def connect(self, trouble: Trouble | None = None) -> None:
        """Join them all. Control loses nothing, since its queues are durable; bulk may."""
        for origin, peer in permutations(self.sites.values(), 2):
            for kind in LinkKind:
                link = SimulatedLink(
                    self.clock,
                    self.random.random,
                    source=(origin.node, origin.broker),
                    destination=(peer.node, peer.broker),
                    kind=kind,
                    trouble=trouble if kind is LinkKind.BULK else lossless(trouble),
                )
                link.open()
                self.links.append(link)

    def _listen(self, name: NodeId, broker: MemoryBroker) -> None:
        self.heard[name] = []
        ear = MemoryTransport(broker, self.clock, user=name, random=self.random.random)
        ear.consume(EAR, partial(self._alert, name, ear))
        ear.start()

    def _alert(self, name: NodeId, ear: MemoryTransport, delivery: Delivery) -> None:
        event = decode(delivery.body)
        assert isinstance(event, Event), event
        assert isinstance(event.data, Alert)
        ear.ack(delivery)
        self.heard[name].append(event.data)

    def start(self) -> None:
        for site in self.sites.values():
            site.start()

    def member(self, node: NodeId, home: NodeId, interval: Seconds = 5.0) -> Talker:
        site = self.sites[home]
        site.broker.admit(grant(Role.MEMBER, node))
        transport = Process(site.broker, self.clock, user=node, random=self.random.random)
        self.members[node] = talker = Talker(node, transport, interval)
        self.clock.later(self.random.random() * interval, talker.start)
        return talker

    def ask(
        self,
        at: NodeId,
        message: Message,
        *,
        key: str = "",
        user: str = ADMIN,
        role: Role | None = None,
        wait: Seconds = 60.0,
    ) -> Answer | None:
        """Ask a supernode as a client does; None when no answer came."""
        broker, answers = self.sites[at].broker, list[Delivery | None]()
        client = MemoryTransport(broker, self.clock, user=user, random=self.random.random)
        client.start()
        self.clock.advance(0.1)
        body = encode(message, source=user, id=f"ask{next(self._asks)}", time=self.clock.now())
        exchange = request_exchange(role or role_of(user))
        asked = Outgoing(exchange, key or request_key(message), body)
        client.request(asked, answers.append, timeout=wait)
        self.clock.run(lambda: bool(answers), wait + 1.0)
        client.stop()
        delivery = answers[0]
        event = decode(delivery.body, limit=2**22) if delivery else None
        assert event is None or isinstance(event, Event), event
        data = event.data if event else None
        assert data is None or isinstance(data, Answer)
        return data

    def transitions(self, at: NodeId, kind: str) -> list[str]:
        """The transitions of a kind that an administrator was shown, each once, in their order."""
        told = [alert for alert in self.heard[at] if alert.kind == kind]
        return list(dict.fromkeys(alert.transition for alert in told))

    def end(self) -> None:
        for site in self.sites.values():
            for worker in site.workers:
                worker.close()


def role_of(user: str) -> Role:
    """What a principal of the simulation is, unless it is said."""
    return Role.ADMINISTRATOR if user == ADMIN else Role.MEMBER


def lossless(trouble: Trouble | None) -> Trouble | None:
    return None if trouble is None else replace(trouble, loss=0.0)


@pytest.fixture
def make_simulation() -> Iterator[Callable[..., Simulation]]:
    made: list[Simulation] = []

    def make(*names: NodeId, seed: int = 1) -> Simulation:
        simulation = Simulation(VirtualClock(), Random(seed))
        simulation.build(names)
        made.append(simulation)
        return simulation

    yield make
    for simulation in made:
        simulation.end()

"""Simulated links do to messages what real ones do, and nothing else."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from nm_bus.grants import grant, link_user
from nm_bus.identity.role import Role
from nm_bus.testing.clock import VirtualClock
from nm_bus.testing.links import SimulatedLink, Trouble
from nm_bus.topology import (
    LinkKind,
    Sizes,
    link_topology,
    out_exchange,
    peer_queue,
    project_topology,
)
from nm_bus.transport.base import Delivery, Outcome, Outgoing
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

HERE, THERE = "sn1.example.org", "sn2.example.org"


@dataclass
class Pair:
    """Two brokers with a control link from one to the other."""

    trouble: Trouble
    clock: VirtualClock = field(default_factory=VirtualClock)
    got: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = random.Random(3)
        self.here, self.there = MemoryBroker(self.clock, HERE), MemoryBroker(self.clock, THERE)
        for broker, peer in ((self.here, THERE), (self.there, HERE)):
            assert broker.declare(project_topology(Sizes()) + link_topology(peer, Sizes())) is None
        self.here.admit(grant(Role.SUPERNODE, HERE))
        self.there.admit(grant(Role.SUPERNODE, THERE))
        self.there.admit(grant(Role.LINK, link_user(HERE)))
        self.link = SimulatedLink(
            self.clock,
            chance.random,
            source=(HERE, self.here),
            destination=(THERE, self.there),
            kind=LinkKind.CONTROL,
            trouble=self.trouble,
        )
        self.reader = MemoryTransport(self.there, self.clock, user=THERE, random=chance.random)
        self.reader.consume(peer_queue(HERE, LinkKind.CONTROL), self._take)
        self.reader.start()
        self.link.open()
        self.clock.advance(0.1)

    def _take(self, delivery: Delivery) -> None:
        self.got.append(delivery)
        self.reader.ack(delivery)

    def send(self, count: int) -> None:
        for n in range(count):
            message = Outgoing(out_exchange(THERE), "control.x", b"%d" % n, persistent=True)
            assert self.here.publish(HERE, message) is Outcome.CONFIRMED

    def numbers(self) -> list[int]:
        return [int(delivery.body) for delivery in self.got]


def test_a_good_link_delivers_each_in_order_after_its_delay() -> None:
    pair = Pair(Trouble(delay=0.05, jitter=0.02))
    pair.send(100)
    pair.clock.advance(0.049)
    assert pair.got == []
    pair.clock.advance(1)
    assert pair.numbers() == list(range(100))
    assert {d.user_id for d in pair.got} == {link_user(HERE)}
    assert pair.link.moved == 100


def test_a_cut_loses_nothing_but_may_repeat() -> None:
    pair = Pair(Trouble(delay=0.05))
    pair.send(50)
    pair.clock.advance(0.01)
    pair.link.cut()
    pair.send(0)
    pair.clock.advance(60)
    assert pair.got == []
    assert not pair.link.is_up
    pair.link.open()
    pair.clock.advance(2)
    assert sorted(set(pair.numbers())) == list(range(50))


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_link_outlasts_an_outage_of_either_broker(side: str) -> None:
    pair = Pair(Trouble(delay=0.05))
    pair.send(50)
    broker: MemoryBroker = getattr(pair, side)
    pair.clock.advance(0.01)
    broker.stop()
    pair.clock.advance(20)
    broker.start()
    pair.clock.advance(20)
    assert sorted(set(pair.numbers())) == list(range(50))


def test_trouble_comes_as_often_as_it_is_asked_for() -> None:
    pair = Pair(Trouble(delay=0.05, jitter=0.05, loss=0.1, duplicates=0.2, reordering=0.1))
    pair.send(1_000)
    pair.clock.advance(10)
    copies = Counter(pair.numbers())
    assert 850 < len(copies) < 980
    assert 100 < sum(count > 1 for count in copies.values()) < 250
    assert pair.numbers() != sorted(pair.numbers())


def test_the_same_chance_gives_the_same_trouble() -> None:
    def once() -> list[int]:
        pair = Pair(Trouble(delay=0.05, jitter=0.05, loss=0.1, duplicates=0.2, reordering=0.1))
        pair.send(200)
        pair.clock.advance(10)
        return pair.numbers()

    assert once() == once()

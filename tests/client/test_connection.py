"""The way of people and components to the supernodes, on real brokers."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from nm_broker.pki import Authority
from nm_broker.testing.federation import eventually
from nm_broker.testing.sandbox import Sandbox
from nm_bus import codec
from nm_bus.client.asking import Asking
from nm_bus.client.carrier import Contact, FollowedItem, Quiet, Received
from nm_bus.client.connection import Bus
from nm_bus.client.following import QueueFollowing
from nm_bus.errors import (
    ConfigError,
    ConnectionLostError,
    NmBusError,
    RefusedError,
    TimedOutError,
)
from nm_bus.identity.role import ADMINISTRATOR, Role
from nm_bus.messages import Answer, Message, Query, Report, Subscribe
from nm_bus.settings import LOCAL, AdministratorSettings, Broker, Peer, Tls, timing
from nm_bus.topology import (
    ALERTS,
    Binding,
    Exchange,
    Queue,
    Sizes,
    Topology,
    alerts_queue,
    alerts_topology,
    request_exchange,
    request_queue,
)
from nm_bus.transport.base import Delivery, Flow, Outgoing
from nm_bus.transport.pika import PikaTransport

pytestmark = pytest.mark.broker

T = TypeVar("T")

PATIENCE = 60.0

BOSS = "boss.example.org"
TIME = Query(what="time")
NOWHERE = Peer("sn7.example.org", Broker("sn7.example.org", 9, "127.0.0.1"))
"""Nothing listens on the discard port."""

ASKED, QUEUE = request_exchange(ADMINISTRATOR), request_queue(ADMINISTRATOR)
BASIC = Topology(
    (Exchange(ASKED), Exchange(ALERTS)), (Queue(QUEUE),), (Binding(ASKED, QUEUE),)
) + alerts_topology(BOSS, "", ["#"], Sizes())


class Supernode:
    """Answers every request with its own name, or with nothing at all."""

    def __init__(self, sandbox: Sandbox, *, silent: bool = False) -> None:
        self.name, self.silent, self.asked = sandbox.name, silent, list[str]()
        broker = sandbox.address
        self.transport = PikaTransport(
            brokers=[Broker(broker.host, broker.port, broker.address)],
            vhost=sandbox.vhost,
            user=sandbox.name,
            tls=sandbox.grant(Role.SUPERNODE, sandbox.name),
            timing=LOCAL,
            name=sandbox.name,
            random=random.random,
        )
        self.transport.consume(QUEUE, self._answer)

    def _answer(self, delivery: Delivery) -> None:
        self.transport.ack(delivery)
        event = codec.decode(delivery.body)
        assert not isinstance(event, codec.Rejected)
        self.asked.append(event.id)
        if self.silent:
            return
        answer = Answer(event.id, True, data={"by": self.name, "queue": alerts_queue(BOSS)})
        body = codec.encode(answer, source=self.name, id="a", time=self.transport.now())
        reply_to, correlation = delivery.reply_to or "", delivery.correlation_id
        self.transport.publish(Outgoing("", reply_to, body, correlation_id=correlation))

    def alert(self, body: bytes) -> None:
        """Publish an alert."""
        alert = Outgoing(ALERTS, "info.test.a", body, persistent=True)
        self.transport.call_threadsafe(lambda: self.transport.publish(alert))


@contextmanager
def serving(*sandboxes: Sandbox, silent: bool = False) -> Iterator[list[Supernode]]:
    for sandbox in sandboxes:
        sandbox.declare(BASIC)
    supernodes = [Supernode(sandbox, silent=silent) for sandbox in sandboxes]
    threads = [threading.Thread(target=s.transport.run) for s in supernodes]
    for thread in threads:
        thread.start()
    up = [supernode.transport for supernode in supernodes]
    eventually(lambda: all(t.status.flow is Flow.UP for t in up), "supernodes that are up")
    yield supernodes
    for supernode, thread in zip(supernodes, threads, strict=True):
        supernode.transport.call_threadsafe(supernode.transport.stop)
        thread.join(30)
        assert not thread.is_alive()


def settings(*peers: Peer, tls: Tls, vhost: str) -> AdministratorSettings:
    return AdministratorSettings(
        project=vhost.removeprefix("nm."), supernodes=peers, tls=tls, network="local"
    )


def peer(sandbox: Sandbox) -> Peer:
    return Peer(sandbox.name, sandbox.address)


def boss(*sandboxes: Sandbox) -> Tls:
    return [sandbox.grant(Role.ADMINISTRATOR, BOSS) for sandbox in sandboxes].pop()


def answered(bus: Bus, asker: AdministratorSettings, message: Message, timeout: float) -> Answer:
    """What the first supernode that answers says."""
    nodes = [peer.node for peer in asker.supernodes]
    asking = Asking(bus, nodes, timing(asker))
    return asking.settled(
        message, lambda answer, _: answer, timeout=timeout, patience=timeout, rounds=2
    )


def following(asker: AdministratorSettings, bus: Bus) -> QueueFollowing:
    return QueueFollowing(asker.supernodes, bus.line, Subscribe(), timing(asker))


def failure(asker: AdministratorSettings, message: Message = TIME) -> NmBusError:
    with pytest.raises(NmBusError) as raised, Bus(asker) as bus:
        answered(bus, asker, message, 5)
    assert "\n" not in str(raised.value)
    return raised.value


def test_a_request_goes_to_the_first_supernode_that_answers(broker: Sandbox) -> None:
    asker = settings(NOWHERE, peer(broker), tls=boss(broker), vhost=broker.vhost)
    with serving(broker), Bus(asker) as bus:
        for _ in range(3):
            assert answered(bus, asker, TIME, 20).data["by"] == broker.name
        assert bus.request(TIME, 20, broker.name).ok
        with pytest.raises(ConnectionLostError, match=r"sn7.example.org:9 refuses connections"):
            bus.request(TIME, 1, NOWHERE.node)
        with pytest.raises(ConnectionLostError, match=r"sn8.* is none of the supernodes"):
            bus.request(TIME, 1, "sn8.example.org")


def test_asking_again_uses_the_same_id(broker: Sandbox) -> None:
    asker = settings(peer(broker), tls=boss(broker), vhost=broker.vhost)
    with serving(broker, silent=True) as (supernode,), Bus(asker) as bus:
        with pytest.raises(TimedOutError, match="gave no answer"):
            answered(bus, asker, TIME, 1)
        assert len(supernode.asked) >= 1
        assert len(set(supernode.asked)) == 1


def test_what_a_broker_refuses_is_one_clear_sentence(broker: Sandbox, tmp_path: Path) -> None:
    broker.declare(BASIC)
    own = boss(broker)
    asker = settings(peer(broker), tls=own, vhost=broker.vhost)
    stranger = Authority.create(tmp_path).issue(BOSS, tmp_path)
    misnamed = msgspec.structs.replace(broker.address, host="sn6.example.org")
    report = Report(request="r", node="a.b", ok=True)

    def but(**changed: Any) -> AdministratorSettings:
        return msgspec.structs.replace(asker, **changed)

    def at(where: Broker) -> AdministratorSettings:
        return but(supernodes=(Peer(where.host, where),))

    expected: list[tuple[NmBusError, type[NmBusError], str]] = [
        (failure(but(tls=broker.issue("who.example.org"))), RefusedError, "refuses the user who"),
        (failure(but(project="none")), RefusedError, "serves no project none"),
        (failure(asker, report), RefusedError, "topic 'report'"),
        (failure(but(role="member")), RefusedError, "it is not admitted as member: see `role`"),
        (failure(but(tls=stranger)), ConfigError, "not accepted: self-signed"),
        (
            failure(but(tls=Tls(own.ca, stranger.certificate, stranger.key))),
            ConfigError,
            "is not of the authority that issued",
        ),
        (failure(at(misnamed)), ConfigError, "Hostname mismatch"),
        (failure(at(Broker("sn5.invalid"))), ConnectionLostError, "is not known"),
    ]
    for error, kind, text in expected:
        assert isinstance(error, kind), error
        assert text in str(error)


def test_a_broker_that_is_stuck_costs_no_more_than_the_time_given(broker: Sandbox) -> None:
    asker = settings(peer(broker), tls=boss(broker), vhost=broker.vhost)
    with serving(broker), Bus(asker) as bus:
        assert bus.request(TIME, 20, broker.name).ok
        broker.broker.pause()
        started = time.monotonic()
        with pytest.raises((TimedOutError, ConnectionLostError)):
            bus.request(TIME, 2, broker.name)
        assert time.monotonic() - started < 10
        broker.broker.resume()
        assert bus.request(TIME, 20, broker.name).ok


def test_alerts_are_heard_at_every_supernode_and_again_when_one_comes_back(
    brokers: list[Sandbox],
) -> None:
    asker = settings(*map(peer, brokers), tls=boss(*brokers), vhost=brokers[0].vhost)
    before = threading.active_count()
    with serving(*brokers) as supernodes, Bus(asker) as bus:
        names = {supernode.name for supernode in supernodes}
        with following(asker, bus) as followed:
            seen: list[FollowedItem] = []
            up = dict.fromkeys(names, False)

            def take_until(done: set[str]) -> None:
                while {name for name, follows in up.items() if follows} != done:
                    item = next(followed)
                    seen.append(item)
                    if isinstance(item, Contact):
                        up[item.supernode] = not item.reason

            def bodies(count: int) -> set[bytes]:
                found: set[bytes] = set()
                while len(found) < count:
                    item = next(followed)
                    if isinstance(item, Received):
                        found.add(item.body)
                        item.ack()
                return found

            take_until(names)
            for supernode in supernodes:
                supernode.alert(supernode.name.encode())
            assert bodies(3) == {name.encode() for name in names}
            brokers[0].broker.kill()
            take_until(names - {brokers[0].name})
            supernodes[1].alert(b"meanwhile")
            assert bodies(1) == {b"meanwhile"}
            brokers[0].revive()
            take_until(names)
    eventually(lambda: threading.active_count() <= before, "threads that ended")


def test_a_broker_that_is_stuck_does_not_hold_up_who_leaves(broker: Sandbox) -> None:
    asker = settings(peer(broker), tls=boss(broker), vhost=broker.vhost)
    with serving(broker), Bus(asker) as bus:
        followed = following(asker, bus)
        assert isinstance(next(item for item in followed if not isinstance(item, Quiet)), Contact)
        broker.broker.pause()
        started = time.monotonic()
        followed.close()
        assert time.monotonic() - started < 30
        broker.broker.resume()


def test_what_was_acknowledged_is_not_shown_again(broker: Sandbox) -> None:
    asker = settings(peer(broker), tls=boss(broker), vhost=broker.vhost)
    with serving(broker) as (supernode,), Bus(asker) as bus:
        supernode.alert(b"first")
        supernode.alert(b"second")
        with following(asker, bus) as followed:
            first = next(item for item in followed if isinstance(item, Received))
            first.ack()
        with following(asker, bus) as followed:
            again = next(item for item in followed if isinstance(item, Received))
        assert (first.body, again.body) == (b"first", b"second")


def test_an_acknowledgement_that_finds_the_connection_lost_does_not_end_the_following(
    broker: Sandbox,
) -> None:
    asker = settings(peer(broker), tls=boss(broker), vhost=broker.vhost)
    with (
        serving(broker) as (supernode,),
        Bus(asker) as bus,
        following(asker, bus) as followed,
    ):
        until_item(followed, Contact)
        supernode.alert(b"one")
        one = until_item(followed, Received)
        (reader,) = followed._readers
        assert reader.opened is not None
        line: Any = reader.opened.line
        socket.socket.shutdown(line._socket, socket.SHUT_RDWR)
        one.ack()
        supernode.alert(b"two")
        until_item(followed, Received)


def until_item(followed: QueueFollowing, kind: type[T]) -> T:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        item = followed.step(0.5)
        if isinstance(item, kind):
            return item
    raise AssertionError(f"no {kind.__name__} came")

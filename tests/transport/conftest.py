"""One world, twice: a broker in memory on virtual time, and a real one. Tests see no difference."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import msgspec
import pika.data
import pytest

from nm_broker.testing.sandbox import Sandbox
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.settings import LOCAL, Broker
from nm_bus.testing.clock import VirtualClock
from nm_bus.topology import Topology
from nm_bus.transport.base import Flow, Transport
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker
from nm_bus.transport.pika import PikaTransport

TIMING = msgspec.structs.replace(LOCAL, confirm=2.0, retry_first=0.1, retry_most=1.0)
PATIENCE = 30.0


class World(Protocol):
    """A broker and the transports to it."""

    def join(self, role: Role, user: str) -> Transport:
        """A transport of a new user, running; wait for it with `up`."""

    def declare(self, topology: Topology) -> None:
        """Declare as whoever runs the broker."""

    def do(self, transport: Transport, call: Callable[[], None]) -> None:
        """Make a call on the transport's loop."""

    def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until this is true; fail when it never is."""

    def leave(self, transport: Transport) -> None:
        """Stop a transport and wait until its `run` has ended."""

    def cut(self, user: str) -> None:
        """Let the broker close the user's connections."""

    def outage(self) -> AbstractContextManager[None]:
        """The broker is killed, and there again afterwards."""

    def alarm(self) -> AbstractContextManager[None]:
        """The broker is low on memory for a while."""

    def pause(self) -> AbstractContextManager[None]:
        """The broker's process is stopped for a while."""

    def delete_queue(self, name: str) -> None:
        """Delete a queue under its consumers."""


class MemoryWorld:
    """The world in memory: nothing waits for real."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.broker = MemoryBroker(self.clock)

    def join(self, role: Role, user: str) -> Transport:
        self.broker.admit(grant(role, user))
        chance = random.Random(user)
        transport = MemoryTransport(
            self.broker, self.clock, user=user, random=chance.random, timing=TIMING
        )
        transport.start()
        return transport

    def declare(self, topology: Topology) -> None:
        assert self.broker.declare(topology) is None

    def do(self, transport: Transport, call: Callable[[], None]) -> None:
        transport.call_threadsafe(call)

    def until(self, condition: Callable[[], bool]) -> None:
        self.clock.run(condition, limit=PATIENCE)

    def leave(self, transport: Transport) -> None:
        self.do(transport, transport.stop)
        self.until(lambda: transport.status.reason == "stopped")

    def cut(self, user: str) -> None:
        self.broker.close_connections(user)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.broker.stop()
        yield
        self.broker.start()

    @contextmanager
    def alarm(self) -> Iterator[None]:
        self.broker.block("low on memory")
        yield
        self.broker.unblock()

    @contextmanager
    def pause(self) -> Iterator[None]:
        self.broker.pause()
        yield
        self.broker.resume()

    def delete_queue(self, name: str) -> None:
        self.broker.delete_queue(name)


class RealWorld:
    """The world on RabbitMQ: each transport runs in a thread of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._threads: dict[int, threading.Thread] = {}
        self._running: list[Transport] = []

    def join(self, role: Role, user: str) -> Transport:
        broker = self.sandbox.address
        transport = PikaTransport(
            brokers=[Broker(broker.host, broker.port, broker.address)],
            vhost=self.sandbox.vhost,
            user=user,
            tls=self.sandbox.grant(role, user),
            timing=TIMING,
            name=user,
            random=random.Random(user).random,
            separate=role is Role.SUPERNODE,
        )
        thread = threading.Thread(target=transport.run, name=user)
        self._threads[id(transport)] = thread
        self._running.append(transport)
        thread.start()
        return transport

    def declare(self, topology: Topology) -> None:
        self.sandbox.declare(topology)

    def do(self, transport: Transport, call: Callable[[], None]) -> None:
        transport.call_threadsafe(call)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came about"
            time.sleep(0.01)

    def leave(self, transport: Transport) -> None:
        self._running.remove(transport)
        transport.call_threadsafe(transport.stop)
        thread = self._threads[id(transport)]
        thread.join(PATIENCE)
        assert not thread.is_alive()

    def close(self) -> None:
        for transport in list(self._running):
            self.leave(transport)

    def cut(self, user: str) -> None:
        self.sandbox.broker.api.close_connections(user, "closed by a test")

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.sandbox.broker.kill()
        yield
        self.sandbox.revive()

    @contextmanager
    def alarm(self) -> Iterator[None]:
        with self.sandbox.broker.memory_alarm():
            yield

    @contextmanager
    def pause(self) -> Iterator[None]:
        self.sandbox.broker.pause()
        yield
        self.sandbox.broker.resume()

    def delete_queue(self, name: str) -> None:
        self.sandbox.broker.api.delete_queue(self.sandbox.vhost, name)


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A broker of the test's own."""
    if request.param == "memory":
        yield MemoryWorld()
        return
    real = RealWorld(request.getfixturevalue("broker"))
    yield real
    real.sandbox.revive()
    real.close()


@pytest.fixture
def up(world: World) -> Callable[[Transport], Transport]:
    """Wait until a transport is up."""

    def wait(transport: Transport) -> Transport:
        world.until(lambda: transport.status.flow is Flow.UP)
        return transport

    return wait


@pytest.fixture
def tables_read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The tables of headers that pika reads during the test."""
    read: list[bytes] = []
    usual = pika.data.decode_table

    def decode_table(encoded: bytes, offset: int) -> Any:
        read.append(encoded)
        return usual(encoded, offset)

    monkeypatch.setattr("pika.data.decode_table", decode_table)
    return read

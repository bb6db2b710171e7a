"""A federation of real brokers and real programs, and principals of it that mean ill.

A module's tests share one. After each attack all that were not attacked must be served, and no
program may have ended; what an attack that succeeds left is taken away, so that the next test says
what its own attack does.
"""

import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from nm_broker.access import Access
from nm_broker.management import ManagementApi
from nm_broker.pki import Authority
from nm_broker.program import Program
from nm_bus import codec
from nm_bus.client import Client
from nm_bus.client.connection import Bus
from nm_bus.errors import NmBusError
from nm_bus.identity.role import Role
from nm_bus.messages import Answer, Message, NodeId, Query
from nm_bus.settings import AdministratorSettings, Limits, Tls, load
from nm_bus.topology import request_exchange, request_key, vhost
from nm_bus.transport.tls import client_context
from nm_lab.federation.building import Federation, Plan

SN1, SN2, SN3 = SUPERNODES = tuple(f"sn{n}.example.org" for n in range(1, 4))
HOSTILE, COMPONENT = "hostile.example.org", "component.example.org"
"""A member of SN1, and a component: their certificates are used here, and have no program."""

REPLY_TO = "amq.rabbitmq.reply-to"
Headers = dict[str, Any] | None

ANSWERED = 60.0
"""Seconds within which whoever is not attacked is answered, on the slowest machine."""
EVENTUALLY = 120.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + EVENTUALLY
    while not condition():
        assert time.monotonic() < deadline, f"it never came true: {what}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Principal:
    """Somebody whom the brokers know, with raw access to them and without."""

    name: str
    role: Role
    tls: Tls
    arena: "Arena"

    @cached_property
    def settings(self) -> AdministratorSettings:
        """The settings of a client that is this principal."""
        own = load(self.arena.federation.administrator, AdministratorSettings)
        return msgspec.structs.replace(own, tls=self.tls, role=str(self.role))

    def ask(self, message: Message, supernode: NodeId) -> Answer:
        """What one supernode answers; raises what `Bus.request` raises."""
        with Bus(self.settings) as bus:
            return bus.request(message, ANSWERED, supernode)

    @contextmanager
    def channel(
        self, supernode: NodeId, context: ssl.SSLContext | None = None
    ) -> Iterator[BlockingChannel]:
        """A channel to a supernode's broker, over TLS as the product speaks it or as given."""
        broker = self.arena.federation.brokers[supernode]
        parameters = pika.ConnectionParameters(
            host=broker.address,
            port=broker.amqps_port,
            virtual_host=self.arena.vhost,
            credentials=pika.credentials.ExternalCredentials(),
            ssl_options=pika.SSLOptions(context or client_context(self.tls), broker.name),
        )
        with pika.BlockingConnection(parameters) as connection:
            yield connection.channel()

    def encoded(self, message: Message, source: str = "") -> bytes:
        """A message as this principal, or somebody else, would write it."""
        return codec.encode(message, source=source or self.name, id=str(uuid4()), time=time.time())

    def publish(
        self,
        supernode: NodeId,
        exchange: str,
        key: str,
        bodies: Iterable[bytes],
        headers: Headers = None,
    ) -> None:
        """Publish as fast as the broker takes it; returns when it has taken all."""
        own = pika.BasicProperties(user_id=self.name, headers=headers)
        with self.channel(supernode) as channel:
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish(exchange, key, body, own)

    def answers(self, channel: BlockingChannel) -> list[bytes]:
        """Where something empty is added for each answer, while the connection is looked after."""
        came: list[bytes] = []
        channel.basic_consume(REPLY_TO, lambda *told: came.append(told[-1][:0]), auto_ack=True)
        return came

    def send(self, channel: BlockingChannel, message: Message, headers: Headers = None) -> None:
        """Ask, on a channel that reads answers."""
        own = pika.BasicProperties(
            user_id=self.name, reply_to=REPLY_TO, correlation_id=str(uuid4()), headers=headers
        )
        exchange, key = request_exchange(self.role), request_key(message)
        channel.basic_publish(exchange, key, self.encoded(message), own)

    def request_many(
        self, supernode: NodeId, messages: Iterable[Message], headers: Headers = None
    ) -> int:
        """Ask all at once, then read answers until none comes; gives how many came."""
        with self.channel(supernode) as channel:
            came = self.answers(channel)
            for message in messages:
                self.send(channel, message, headers)
            before = -1
            while before != len(came):
                before = len(came)
                channel.connection.process_data_events(time_limit=3.0)
            return len(came)


@dataclass
class Arena:
    """The federation under attack, and who is in it."""

    federation: Federation
    principals: dict[str, Principal] = field(default_factory=dict)

    def open(self) -> None:
        """Make the principals known to every broker."""
        federation = self.federation
        authority = Authority.load(federation.plan.folder / "pki")
        for name, role in (
            (federation.plan.administrator, Role.ADMINISTRATOR),
            (HOSTILE, Role.MEMBER),
            (COMPONENT, Role.COMPONENT),
        ):
            tls = authority.issue(name, federation.plan.folder / "principals")
            self.principals[name] = Principal(name, role, tls, self)
            for node in SUPERNODES:
                Access(self.api(node), self.vhost).admit(role, name)

    @property
    def vhost(self) -> str:
        return vhost(self.federation.plan.project)

    @property
    def administrator(self) -> Principal:
        return self.principals[self.federation.plan.administrator]

    @property
    def hostile(self) -> Principal:
        return self.principals[HOSTILE]

    @property
    def component(self) -> Principal:
        return self.principals[COMPONENT]

    def link_of(self, supernode: NodeId) -> Tls:
        """The certificate of a supernode's links."""
        tls = self.federation.settings[supernode].link_tls
        assert tls is not None
        return tls

    def api(self, node: NodeId) -> ManagementApi:
        return self.federation.running[node].api

    @property
    def checks_copies(self) -> bool:
        """Whether the brokers check the keys of copies, in CC and BCC headers: since RabbitMQ 4."""
        return not self.api(SN1).overview().rabbitmq_version.startswith("3.")

    # --- what must hold

    def all_answer(self) -> None:
        """Each supernode answers an administrator, and none of their programs has ended."""
        for node in SUPERNODES:
            assert self.administrator.ask(Query("status"), node).ok
            assert self.federation.supernode(node).poll() is None, f"{node} has ended"

    def agree(self) -> None:
        """A change is agreed, by whichever supernode takes it."""
        with Client(self.administrator.settings, timeout=ANSWERED) as client:
            client.put("calm", "one.txt", str(time.time()))

    def while_others_ask(self, attack: Callable[[], None]) -> None:
        """Attack, while an administrator asks each supernode again and again; all answer."""
        with ThreadPoolExecutor(1) as beside:
            running = beside.submit(attack)
            self.all_answer()
            while not running.done():
                self.all_answer()
            running.result()
        self.all_answer()

    def recover(self) -> None:
        """Take away what an attack left: only after one that had an effect."""
        for node in SUPERNODES:
            try:
                is_well = self.administrator.ask(Query("status"), node).ok
            except NmBusError:
                is_well = False
            if not is_well:
                self._restart(node)
        until(self._is_well, "all answer again")

    def _restart(self, node: NodeId) -> None:
        process = self.federation.supernode(node)
        process.kill()
        process.wait(30.0)
        for queue in self.api(node).depths(self.vhost):
            if not queue.startswith(("inbox.", "updates.")):
                self.api(node).delete("queues", self.vhost, queue, "contents")
        self.federation.start_supernode(node)

    def _is_well(self) -> bool:
        try:
            self.all_answer()
        except NmBusError:
            return False
        return True


@pytest.fixture(scope="module")
def shared(program: Program) -> Iterator[Arena]:
    folder = Path(tempfile.mkdtemp(prefix="nm-bus-attacks-"))
    plan = Plan(
        folder,
        "attacked",
        SUPERNODES,
        {HOSTILE: SN1},
        limits=Limits(partitions=1),
        program=program,
    )
    federation = Federation(plan)
    arena = Arena(federation)
    try:
        federation.build()
        federation.start_brokers()
        for node in SUPERNODES:
            federation.start_supernode(node)
        arena.open()
        until(arena._is_well, "all answer")
        yield arena
    finally:
        federation.stop()
        shutil.rmtree(folder)


@pytest.fixture
def arena(shared: Arena, request: pytest.FixtureRequest) -> Iterator[Arena]:
    """The federation, well."""
    failed = request.session.testsfailed
    yield shared
    if request.session.testsfailed > failed or not shared._is_well():
        shared.recover()

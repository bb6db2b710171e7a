"""A broker on an address of IPv6, its links and its clients; and one that serves every address."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest

from nm_broker.access import Access
from nm_broker.links import Links
from nm_broker.loopback import free_port
from nm_broker.pki import Authority
from nm_broker.private import PrivateBroker, RunningBroker
from nm_broker.program import Program
from nm_broker.project import Principals, bring_up, sizes_for
from nm_broker.testing.sandbox import Sandbox
from nm_bus.client.connection import Route
from nm_bus.core.links import ShovelState
from nm_bus.grants import link_user
from nm_bus.identity.role import Role
from nm_bus.settings import (
    LOCAL,
    Broker,
    Management,
    Peer,
    SupernodeSettings,
    Tls,
    connects_to,
)
from nm_bus.topology import link_topology, vhost
from nm_bus.transport.tls import client_context

LOOPBACK = "::1"
NAME, PEER, ADMIN = "sn1.example.org", "sn2.example.org", "admin.example.org"


def has_ipv6() -> bool:
    try:
        with socket.create_server((LOOPBACK, 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1"),
]

Eventually = Callable[[Callable[[], bool]], None]
Start = Callable[[str, str], RunningBroker]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "pki")


@pytest.fixture
def start(tmp_path: Path, authority: Authority, program: Program) -> Iterator[Start]:
    """Start a broker on an address, with its management API on one; it ends with the test."""
    started: list[RunningBroker] = []

    def start_it(address: str, management: str) -> RunningBroker:
        broker = PrivateBroker(
            tmp_path / "broker",
            NAME,
            "demo",
            authority.issue(NAME, tmp_path / "pki"),
            address,
            free_port(),
            free_port(address),
            free_port(management),
            program,
            management,
        )
        started.append(broker.start())
        return started[0]

    yield start_it
    for running in started:
        running.kill()


def handshake(address: str, running: RunningBroker) -> str | None:
    own = running.settings
    with (
        socket.create_connection((address, own.amqps_port), 30.0) as plain,
        client_context(own.tls).wrap_socket(plain, server_hostname=own.name) as secured,
    ):
        return secured.version()


def settings_on(running: RunningBroker, authority: Authority, folder: Path) -> SupernodeSettings:
    """A supernode whose only peer is at the same address, under another name."""
    own = running.settings
    at = Broker(NAME, own.amqps_port, own.address)
    link = authority.issue(link_user(NAME), folder / "pki")
    return SupernodeSettings(
        "demo",
        NAME,
        folder,
        at,
        own.tls,
        link_tls=link,
        management=Management(url=running.api.url, password_file=own.password_file),
        peers=(Peer(PEER, at),),
        network="local",
    )


def test_links_and_clients_reach_a_broker_on_ipv6(
    start: Start, authority: Authority, tmp_path: Path, eventually: Eventually
) -> None:
    running = start(LOOPBACK, LOOPBACK)
    settings = settings_on(running, authority, tmp_path)
    bring_up(running.api, settings, Principals(administrators=(ADMIN,)))
    running.api.declare(link_topology(NAME, sizes_for(settings.limits)), vhost("demo"))
    Access(running.api, vhost("demo")).admit(Role.LINK, NAME)
    links = Links(running.api, settings)
    eventually(lambda: all(s.state is ShovelState.RUNNING for s in links.look().values()))
    assert connects_to(settings.broker)[0] == LOOPBACK
    tls = authority.issue(ADMIN, tmp_path / "pki")
    with client(settings, tls):
        pass
    box = Sandbox(running, authority, vhost("demo"), tmp_path / "pki")
    pika.BlockingConnection(box.parameters(tls)).close()


def client(settings: SupernodeSettings, tls: Tls) -> Route:
    """What a component connects by."""
    peer = Peer(NAME, settings.broker)
    return Route(
        peer,
        vhost=vhost("demo"),
        user=ADMIN,
        role="administrator",
        tls=tls,
        timing=LOCAL,
        connect=30.0,
    )


def test_a_broker_without_an_address_serves_both_protocols(start: Start) -> None:
    running = start("", "127.0.0.1")
    assert handshake("127.0.0.1", running) == "TLSv1.3"
    assert handshake(LOOPBACK, running) == "TLSv1.3"

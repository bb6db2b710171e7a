"""A project brought up on its own broker, where the broker tells of connections."""

from collections.abc import Iterator
from contextlib import ExitStack

import pika
import pytest
from pika.exceptions import (
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from nm_broker.access import CONNECTIONS
from nm_broker.project import Principals, bring_up
from nm_broker.testing.federation import Site, dissolve, eventually, federate
from nm_broker.testing.sandbox import Sandbox
from nm_bus.identity.role import Role
from nm_bus.topology import UPDATES_LOG

pytestmark = pytest.mark.broker

MEMBER = "m1.example.org"
PRINCIPALS = Principals(members=(MEMBER,))


@pytest.fixture
def site(broker: Sandbox) -> Iterator[Site]:
    """The vhost of the broker's own project, not one of this test."""
    broker.vhost, own = f"nm.{broker.broker.settings.project}", broker.vhost
    (site,) = federate([broker], PRINCIPALS)
    yield site
    dissolve([site], PRINCIPALS)
    broker.vhost = own


def test_a_project_is_brought_up_twice_and_hears_of_connections(site: Site) -> None:
    for _ in range(2):
        bring_up(site.sandbox.broker.api, site.settings, PRINCIPALS)
    tls = site.sandbox.issue(MEMBER)
    pika.BlockingConnection(site.sandbox.parameters(tls)).close()
    told: list[tuple[str, str]] = []

    def heard() -> bool:
        with site.channel() as channel:
            method, properties, _ = channel.basic_get("events", auto_ack=True)
        if method is not None:
            told.append((method.routing_key, properties.headers.get("user", "")))
        return ("connection.created", MEMBER) in told

    eventually(heard, "the member's connection")


def test_a_principal_holds_only_so_many_connections(site: Site) -> None:
    parameters = site.sandbox.parameters(site.sandbox.issue(MEMBER))
    most = CONNECTIONS[Role.MEMBER]
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(pika.BlockingConnection(parameters))
        with pytest.raises(ProbableAccessDeniedError, match="limit"):
            pika.BlockingConnection(parameters)


def test_a_revoked_principal_is_cut_while_it_reads_and_stays_out(site: Site) -> None:
    parameters = site.sandbox.parameters(site.sandbox.issue(MEMBER))
    connection = pika.BlockingConnection(parameters)
    site.access.revoke(Role.MEMBER, MEMBER)
    with pytest.raises(ConnectionClosedByBroker, match="deleted"):
        connection.process_data_events(time_limit=30)
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(parameters)
    site.access.revoke(Role.MEMBER, MEMBER)
    # RabbitMQ 3.10 may lose a stream that it was killed with, and then nobody can make it again
    site.sandbox.broker.api.delete_queue(site.sandbox.vhost, UPDATES_LOG)
    site.sandbox.broker.kill()
    site.sandbox.revive()
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(parameters)

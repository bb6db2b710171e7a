"""The private broker: who is let in, how it starts and ends, what it leaves behind."""

import pika
import pytest
from pika.exceptions import AMQPConnectionError, ProbableAuthenticationError

from nm_broker.pki import Authority
from nm_broker.sandbox import Sandbox
from nm_bus.topology import Role, Sizes, project_topology

pytestmark = pytest.mark.broker


def test_a_user_logs_in_by_the_first_dns_name_of_its_certificate(broker: Sandbox) -> None:
    tls = broker.grant(Role.SUPERNODE, "sn9.example.org")
    with pika.BlockingConnection(broker.parameters(tls)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        own = pika.BasicProperties(user_id="sn9.example.org")
        channel.basic_publish("amq.topic", "any", b"", own)


def test_a_certificate_of_another_authority_is_refused(broker: Sandbox) -> None:
    broker.grant(Role.SUPERNODE, "sn9.example.org")
    stranger = Authority.create(broker.folder / "stranger").issue(
        "sn9.example.org", broker.folder / "stranger"
    )
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(broker.parameters(stranger, ca=broker.authority.folder / "ca.crt"))


def test_a_certificate_without_a_user_is_refused(broker: Sandbox) -> None:
    nobody = broker.issue("nobody.example.org")
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(broker.parameters(nobody))


def test_the_project_topology_can_be_declared_twice(broker: Sandbox) -> None:
    broker.declare(project_topology(Sizes()))
    broker.declare(project_topology(Sizes()))
    assert "dead" in broker.broker.api.queues(broker.vhost)

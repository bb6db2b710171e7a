"""Certificates as a broker takes them: their life, and names longer than a common name."""

from datetime import UTC, datetime, timedelta

import pika
import pytest
from pika.exceptions import AMQPConnectionError

from nm_broker.testing.sandbox import Sandbox
from nm_bus.identity.certificates import describe
from nm_bus.identity.role import Role

pytestmark = pytest.mark.broker

DAY = timedelta(days=1)


def test_a_name_too_long_for_a_common_name_logs_in(broker: Sandbox) -> None:
    name = ".".join(["n" * 60, "o" * 60, "d" * 60, "example.org"])
    tls = broker.grant(Role.MEMBER, name)
    pika.BlockingConnection(broker.parameters(tls)).close()
    assert describe(tls.certificate).names == (name,)


@pytest.mark.parametrize("starts", [-3 * DAY, 2 * DAY])
def test_a_certificate_outside_its_life_is_refused(broker: Sandbox, starts: timedelta) -> None:
    broker.grant(Role.MEMBER, "m1.example.org")
    tls = broker.authority.issue(
        "m1.example.org", broker.folder, starts=datetime.now(UTC) + starts, life=DAY
    )
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(broker.parameters(tls))


def test_further_names_of_a_certificate_are_no_users(broker: Sandbox) -> None:
    broker.grant(Role.MEMBER, "second.example.org")
    tls = broker.authority.issue("first.example.org", broker.folder, also=("second.example.org",))
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(broker.parameters(tls))

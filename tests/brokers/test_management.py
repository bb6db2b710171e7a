"""The management client on a live broker: whatever is applied twice is as if applied once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pika
import pytest
from pika.exceptions import AMQPConnectionError, ProbableAuthenticationError

from nm_broker import management
from nm_broker.answers import BindingAnswer, measured
from nm_broker.testing.sandbox import Sandbox
from nm_bus.errors import RefusedError
from nm_bus.grants import NOTHING, SHOVEL_USER, grant
from nm_bus.identity.role import Role
from nm_bus.topology import DEAD, METRICS, Queue, Sizes, Topology, link_topology, project_topology

pytestmark = pytest.mark.broker

Eventually = Callable[[Callable[[], bool]], None]

MEMBER = "m1.example.org"


@pytest.mark.parametrize("role", [Role.SUPERNODE, Role.MEMBER, Role.ADMINISTRATOR, Role.LINK])
def test_a_grant_applied_twice_is_there_once(broker: Sandbox, role: Role) -> None:
    broker.grant(role, MEMBER)
    broker.grant(role, MEMBER)
    assert broker.broker.api.rights(MEMBER, broker.vhost) == grant(role, MEMBER)


def test_a_stranger_has_no_rights(broker: Sandbox) -> None:
    broker.grant(Role.MEMBER, MEMBER)
    assert broker.broker.api.rights(MEMBER, "nm.test") is None


def test_a_limit_that_a_grant_no_longer_names_closes_the_exchange(broker: Sandbox) -> None:
    api = broker.broker.api
    broker.grant(Role.MEMBER, MEMBER)
    topics = {k: v for k, v in grant(Role.MEMBER, MEMBER).topics.items() if k != METRICS}
    api.apply(replace(grant(Role.MEMBER, MEMBER), topics=topics), broker.vhost)
    left = api.rights(MEMBER, broker.vhost)
    assert left is not None
    assert left.topics == topics | {METRICS: (NOTHING, NOTHING)}


def test_a_topology_declared_twice_is_there_once(broker: Sandbox) -> None:
    topology = project_topology(Sizes()) + link_topology("sn2.example.org", Sizes())
    broker.declare(topology)
    once = broker.broker.api.get(dict[str, Any], "definitions", broker.vhost)
    broker.declare(topology)
    assert broker.broker.api.get(dict[str, Any], "definitions", broker.vhost) == once
    assert {queue["name"] for queue in once["queues"]} == {q.name for q in topology.queues}


def test_a_queue_that_is_there_but_different_is_refused_by_name(broker: Sandbox) -> None:
    broker.declare(Topology(queues=(Queue("q"),)))
    with pytest.raises(RefusedError, match=r"PUT queues/.*/q: 400 .*x-max-length"):
        broker.declare(Topology(queues=(Queue("q", arguments={"x-max-length": 1}),)))


def test_deleting_what_is_not_there_is_harmless(broker: Sandbox) -> None:
    api = broker.broker.api
    api.delete_user("nobody")
    api.delete_vhost("nowhere")
    api.delete_queue(broker.vhost, "none")
    api.delete_shovel(broker.vhost, "none")
    api.close_connections("nobody", "not there")


def test_deleting_a_user_cuts_its_connection_and_keeps_it_out(broker: Sandbox) -> None:
    parameters = broker.parameters(broker.grant(Role.MEMBER, MEMBER))
    connection = pika.BlockingConnection(parameters)
    broker.broker.api.delete_user(MEMBER)
    with pytest.raises(AMQPConnectionError):
        connection.process_data_events(time_limit=30)
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(parameters)


def test_closing_the_connections_of_a_user_lets_it_come_back(
    broker: Sandbox, eventually: Eventually
) -> None:
    parameters = broker.parameters(broker.grant(Role.MEMBER, MEMBER))
    connection = pika.BlockingConnection(parameters)

    def is_closed() -> bool:
        # the broker closes those that it knows of already, which takes it a moment
        broker.broker.api.close_connections(MEMBER, "for a test")
        try:
            connection.process_data_events(time_limit=1)
        except AMQPConnectionError as error:
            return "for a test" in str(error)
        return False

    eventually(is_closed)
    pika.BlockingConnection(parameters).close()


def test_a_shovel_moves_and_its_state_is_told(broker: Sandbox, eventually: Eventually) -> None:
    api = broker.broker.api
    broker.declare(project_topology(Sizes()) + Topology(queues=(Queue("out.x", "quorum"),)))
    broker.grant(Role.SHOVEL, SHOVEL_USER)
    inside = f"amqp://{SHOVEL_USER}@/{broker.vhost}"
    shovel = {
        "src-protocol": "amqp091",
        "src-uri": inside,
        "src-queue": "out.x",
        "dest-protocol": "amqp091",
        "dest-uri": f"amqp:///{broker.vhost}",
        "dest-exchange": DEAD,
        "dest-exchange-key": "refused.x",
    }
    api.put_shovel(broker.vhost, "to.x", shovel)
    api.put_shovel(broker.vhost, "to.x", shovel)
    assert api.shovel_settings(broker.vhost).keys() == {"to.x"}
    eventually(lambda: [s.state for s in api.shovels(broker.vhost).values()] == ["running"])
    with pika.BlockingConnection(
        broker.parameters(broker.grant(Role.SUPERNODE, "sn9.example.org"))
    ) as connection:
        connection.channel().basic_publish("", "out.x", b"x")
    eventually(lambda: api.depths(broker.vhost).get(DEAD) == 1)
    api.delete_shovel(broker.vhost, "to.x")
    assert api.shovel_settings(broker.vhost) == {}


@pytest.mark.parametrize("size", [2, 500])
def test_all_queues_but_some_come_in_pages(
    broker: Sandbox, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    api = broker.broker.api
    names = ("inbox.a", "inbox.b", "inboxes", "tail.inbox.a", "other", "more", "last")
    broker.declare(Topology(queues=tuple(Queue(name) for name in names)))
    monkeypatch.setattr(management, "QUEUE_PAGE", size)
    assert api.queues(broker.vhost).keys() >= set(names)
    found = api.queues_but(broker.vhost, "inbox.")
    assert found.keys() == api.queues(broker.vhost).keys() - {"inbox.a", "inbox.b"}
    assert api.queues_but(broker.vhost, "") == {}


def test_health_checks_say_what_is_wrong(broker: Sandbox) -> None:
    api = broker.broker.api
    assert api.unhealthy("port-listener", "5671") == ""
    assert api.unhealthy("port-listener", "5672") == "No active listener"


def test_a_wrong_password_is_refused(broker: Sandbox) -> None:
    with pytest.raises(RefusedError, match="refuses the user _nm-bus or its password"):
        replace(broker.broker.api, password="wrong").overview()


def test_what_the_broker_says_of_itself_is_read(broker: Sandbox, eventually: Eventually) -> None:
    api = broker.broker.api
    assert api.overview().rabbitmq_version.split(".")[0] in {"3", "4"}

    def is_calm() -> bool:
        """A new broker has not looked yet, and one that had an alarm says so for seconds."""
        (node,) = api.nodes()
        return measured(node.mem_limit) > 0 and (node.mem_alarm, node.disk_free_alarm) == (
            False,
            False,
        )

    eventually(is_calm)
    (node,) = api.nodes()
    assert measured(node.mem_used) > 0
    assert measured(node.disk_free) > 0
    assert api.tags(api.user) == ("administrator",)
    assert isinstance(api.connections(), tuple)


def test_the_bindings_of_a_queue_are_read(broker: Sandbox) -> None:
    api = broker.broker.api
    broker.declare(project_topology(Sizes()))
    found = api.get(tuple[BindingAnswer, ...], "queues", broker.vhost, DEAD, "bindings")
    assert {binding.source for binding in found} >= {""}
    assert all(binding.properties_key for binding in found)

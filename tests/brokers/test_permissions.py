"""The permission matrix on a live broker: each role does everything; exactly so much is allowed."""

from collections.abc import Callable, Iterator
from functools import partial

import pika
import pytest
from msgspec.structs import replace
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from nm_broker.project import Principals
from nm_broker.testing.federation import Site, dissolve, federate
from nm_broker.testing.sandbox import Sandbox
from nm_bus.grants import SHOVEL_USER, link_user
from nm_bus.identity.role import ASKERS
from nm_bus.settings import Broker, Peer
from nm_bus.topology import (
    Sizes,
    Topology,
    alerts_topology,
    inbox_topology,
    request_exchange,
    tail_topology,
)

pytestmark = pytest.mark.broker

MEMBER, OTHER = "m-1.example.org", "m-2.example.org"
ALICE, BOB, DASHBOARD = "alice", "alice.llnl", "dashboard.example.org"
SUPERNODE, PEER = "sn1.example.org", "sn2.example.org"
PRINCIPALS = Principals((MEMBER, OTHER), (ALICE, BOB), (DASHBOARD,))
SIZES = Sizes()
NOT_ALLOWED = 403

QUEUES_OF_PRINCIPALS: Topology = sum(
    (
        *(inbox_topology(node, SIZES) for node in (MEMBER, OTHER)),
        *(alerts_topology(name, "", ["#"], SIZES) for name in (ALICE, BOB, DASHBOARD, MEMBER)),
        alerts_topology(ALICE, "llnl", ["#"], SIZES),
        *(tail_topology(name, "1", "alerts", ("#",), SIZES) for name in (ALICE, BOB)),
    ),
    start=Topology(),
)
VERBS = (
    *("hello", "query", "report", "ask", "subscribe", "tail", "tail.updates", "enrol"),
    *("propose", "sync", "read"),
)
LEDGER = ("propose", "sync", "read")
ADMINISTRATORS = ("hello", "query", "ask", "subscribe", "tail", "tail.updates", *LEDGER)
OWN_KEYS = (
    *("org.example.m-1", "org.example.m-2", "org.example.m-1.x", "org.examplexm-1"),
    "org.example.m-1\n",
)
KEYS = {
    "heartbeat": OWN_KEYS,
    "metrics": OWN_KEYS,
    **{request_exchange(role): (*VERBS, f"{role}.query", "query\n") for role in ASKERS},
}
EXCHANGES = (
    *("heartbeat", "heartbeat.hash", "metrics", "metrics.hash", "updates", "alerts"),
    *(request_exchange(role) for role in ASKERS),
    *("dead", "reports", "out", f"out.{PEER}", f"peer.{PEER}", "amq.topic", "amq.fanout", ""),
)
QUEUES = (
    *("heartbeat.0", "metrics.0", "thrown.0", "requests.member", "reports", "dead", "events"),
    *(f"out.{PEER}.control", f"out.{PEER}.bulk", f"peer.{PEER}.control", f"peer.{PEER}.bulk"),
    *(f"inbox.{MEMBER}", f"inbox.{OTHER}", f"alerts.{ALICE}", f"alerts.{ALICE}:llnl"),
    *(f"alerts.{BOB}", f"alerts.{DASHBOARD}", f"alerts.{MEMBER}", f"tail.{ALICE}:1"),
    f"tail.{BOB}:1",
)
BINDINGS = (
    *(
        (f"inbox.{MEMBER}", "updates"),
        (f"inbox.{MEMBER}", "heartbeat"),
        ("requests.member", "heartbeat"),
    ),
    *((f"alerts.{ALICE}", "alerts"), (f"peer.{PEER}.bulk", "out"), (f"tail.{ALICE}:1", "metrics")),
)
Attempt = Callable[[BlockingChannel], object]


def attempts() -> Iterator[tuple[str, Attempt]]:
    """Everything that could be tried, with its name in the table below."""
    for exchange in EXCHANGES:
        for key in KEYS.get(exchange, ("control.x",)):
            publish = partial(BlockingChannel.basic_publish, exchange=exchange, routing_key=key)
            yield f"publish {exchange} {key}", partial(publish, body=b"x")
    for queue in QUEUES:
        yield f"get {queue}", partial(BlockingChannel.basic_get, queue=queue, auto_ack=True)
        yield f"purge {queue}", partial(BlockingChannel.queue_purge, queue=queue)
    yield "read updates.log", read_stream
    for queue, source in BINDINGS:
        bind = partial(BlockingChannel.queue_bind, queue=queue, exchange=source)
        yield f"bind {queue} to {source}", partial(bind, routing_key="org.#")
    join = partial(BlockingChannel.exchange_bind, destination="requests.member", source="heartbeat")
    yield "join requests.member to heartbeat", partial(join, routing_key="none")
    nameless = partial(BlockingChannel.queue_declare, queue="", exclusive=True)
    yield "declare a nameless queue", nameless
    own = partial(BlockingChannel.queue_declare, queue=f"inbox.{MEMBER}.mine", durable=True)
    yield "declare a queue", own
    yield (
        "declare an exchange",
        partial(BlockingChannel.exchange_declare, exchange=f"peer.{PEER}.mine"),
    )
    yield "delete an exchange", partial(BlockingChannel.exchange_delete, exchange="updates")
    for queue in (f"inbox.{MEMBER}", f"alerts.{ALICE}", f"peer.{PEER}.bulk", f"out.{PEER}.bulk"):
        yield f"delete {queue}", partial(BlockingChannel.queue_delete, queue=queue)


def read_stream(channel: BlockingChannel) -> None:
    channel.basic_qos(prefetch_count=10)
    # from the end: what came and is not acknowledged would end the connection when it is left
    end = {"x-stream-offset": "next"}
    channel.basic_consume("updates.log", lambda *_: None, arguments=end)


def reads(*queues: str) -> set[str]:
    return {f"{what} {queue}" for what in ("get", "purge") for queue in queues}


def asks(role: str, *verbs: str) -> set[str]:
    return {f"publish {request_exchange(role)} {verb}" for verb in verbs}


ALLOWED: dict[str, set[str]] = {
    MEMBER: {
        "publish heartbeat org.example.m-1",
        "publish metrics org.example.m-1",
        *asks("member", "hello", "query", "report", *LEDGER),
        "read updates.log",
        *reads(f"inbox.{MEMBER}"),
    },
    ALICE: {
        *asks("administrator", *ADMINISTRATORS),
        "read updates.log",
        *reads(f"alerts.{ALICE}", f"alerts.{ALICE}:llnl", f"tail.{ALICE}:1"),
    },
    BOB: {
        *asks("administrator", *ADMINISTRATORS),
        "read updates.log",
        *reads(f"alerts.{BOB}", f"tail.{BOB}:1"),
    },
    DASHBOARD: {
        *asks("component", "hello", "query", "subscribe", "tail.updates", *LEDGER),
        "read updates.log",
        *reads(f"alerts.{DASHBOARD}"),
    },
    link_user(PEER): {f"publish peer.{PEER} control.x"},
    SHOVEL_USER: reads(f"out.{PEER}.control", f"out.{PEER}.bulk"),
    SUPERNODE: {name for name, _ in attempts()},
}


@pytest.fixture
def site(broker: Sandbox) -> Iterator[Site]:
    """A supernode's broker with a peer that is away, so that nothing empties its queues."""
    (alone,) = federate([broker], PRINCIPALS)
    nowhere = Peer(PEER, Broker(PEER, 1, broker.address.address))
    site = Site(broker, replace(alone.settings, peers=(nowhere,)))
    site.bring_up(PRINCIPALS)
    broker.declare(QUEUES_OF_PRINCIPALS)
    yield site
    dissolve([site], PRINCIPALS)


def is_allowed(connection: pika.BlockingConnection, attempt: Attempt) -> bool:
    channel = connection.channel()
    try:
        channel.confirm_delivery()
        attempt(channel)
    except ChannelClosedByBroker as refused:
        if refused.reply_code != NOT_ALLOWED:
            raise
        return False
    channel.close()
    return True


@pytest.mark.parametrize("user", ALLOWED)
def test_a_role_may_do_what_it_is_for_and_nothing_else(site: Site, user: str) -> None:
    with pika.BlockingConnection(site.sandbox.parameters(site.sandbox.issue(user))) as connection:
        allowed = {name for name, attempt in attempts() if is_allowed(connection, attempt)}
    assert allowed == ALLOWED[user]

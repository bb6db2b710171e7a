"""What one sender publishes silences no supernode, and is refused where it may not be published."""

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pika.exceptions
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from nm_broker.pki import Authority
from nm_bus.client import Client
from nm_bus.grants import link_user
from nm_bus.identity.role import Role
from nm_bus.messages import (
    Beat,
    Hello,
    Ledger,
    Metrics,
    Query,
    domain_key,
)
from nm_bus.topology import (
    ALERTS,
    DEAD,
    HEARTBEAT,
    METRICS,
    UPDATES,
    inbox_queue,
    peer_exchange,
    request_exchange,
)
from nm_bus.transport.tls import client_context

from .conftest import ANSWERED, HOSTILE, SN1, SN2, SN3, Arena, Principal, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

KEY = domain_key(HOSTILE)
LATE = 2 * 3_600.0
FUTURE = 20_990_101_000_000


def test_late_series_in_thousands_silence_nobody(arena: Arena) -> None:
    bodies = [
        arena.hostile.encoded(
            Metrics("boot", n + 1, LATE, {f"x{n}.s{m}": float(m) for m in range(900)})
        )
        for n in range(40)
    ]
    before = acknowledged(arena)
    arena.hostile.publish(SN1, METRICS, KEY, bodies)
    end = time.monotonic() + 20  # the pages go out within some seconds, to all
    while time.monotonic() < end:
        arena.all_answer()
    until(lambda: acknowledged(arena) >= before + len(bodies), "all of them are read and stored")
    arena.agree()


def acknowledged(arena: Arena) -> int:
    """How many metrics the ingest processes of SN1 are done with, as the broker counts."""
    queues = arena.api(SN1).queues(arena.vhost)
    return sum(queue.acked for name, queue in queues.items() if name.startswith(f"{METRICS}."))


def test_an_epoch_of_the_future_stops_no_ledger(arena: Arena) -> None:
    with Client(arena.administrator.settings, timeout=ANSWERED) as client:
        before = client.standing(SN2)
    refused = arena.api(SN1).depths(arena.vhost)[DEAD]
    forged = Ledger(SN2, before.incarnation, FUTURE, 99, "0123456789abcdef", Beat(10))
    link = Principal(link_user(SN2), Role.LINK, arena.link_of(SN2), arena)
    link.publish(SN1, peer_exchange(SN2), "control.ledger", [link.encoded(forged, SN2)])
    arena.agree()
    assert arena.api(SN1).depths(arena.vhost)[DEAD] == refused, "it was refused as unreadable"
    with Client(arena.administrator.settings, timeout=ANSWERED) as client:
        assert {client.standing(node).state for node in (SN1, SN2, SN3)} == {"running"}


FORBIDDEN = [
    (HEARTBEAT, f"{KEY}\n"),
    (HEARTBEAT, "org.example.somebody-else"),
    (HEARTBEAT, f"{KEY}.more"),
    (METRICS, f"{KEY}\n"),
    (METRICS, "#"),
    (request_exchange(Role.MEMBER), "ask"),
    (request_exchange(Role.MEMBER), "hello\n"),
    (request_exchange(Role.ADMINISTRATOR), "query"),
    (request_exchange(Role.COMPONENT), "query"),
    (UPDATES, "role.any"),
    (ALERTS, "critical.any"),
    (DEAD, "any"),
    (peer_exchange(SN2), "control.canary"),
    ("", "inbox.somebody"),
    ("amq.topic", KEY),
]


@pytest.mark.parametrize(("exchange", "key"), FORBIDDEN)
def test_a_member_publishes_its_own_keys_alone(arena: Arena, exchange: str, key: str) -> None:
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
        arena.hostile.publish(SN1, exchange, key, [b"{}"])


@pytest.mark.parametrize("queue", ["requests.member", "heartbeat.0", "dead", f"inbox.{SN1}"])
def test_a_member_reads_no_queue_of_others(arena: Arena, queue: str) -> None:
    with (
        arena.hostile.channel(SN1) as channel,
        pytest.raises(pika.exceptions.ChannelClosedByBroker, match=r"ACCESS_REFUSED|NOT_FOUND"),
    ):
        channel.basic_get(queue)


def test_a_member_makes_nothing_on_the_broker(arena: Arena) -> None:
    attempts: tuple[Callable[[BlockingChannel], object], ...] = (
        lambda channel: channel.queue_declare("mine"),
        lambda channel: channel.exchange_declare("mine"),
        lambda channel: channel.queue_bind(inbox_queue(HOSTILE), UPDATES, "#"),
    )
    for attempt in attempts:
        with (
            arena.hostile.channel(SN1) as channel,
            pytest.raises(pika.exceptions.ChannelClosedByBroker, match=r"ACCESS_REFUSED|NOT_FOUND"),
        ):
            attempt(channel)


def test_nobody_says_that_he_is_another_user(arena: Arena) -> None:
    with arena.hostile.channel(SN1) as channel:
        channel.confirm_delivery()
        forged = pika.BasicProperties(user_id=arena.administrator.name)
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION_FAILED"):
            channel.basic_publish(HEARTBEAT, KEY, b"{}", forged)


def test_no_answer_goes_into_the_queue_of_another(arena: Arena) -> None:
    victim = arena.administrator
    assert victim.ask(Hello(str(victim.role)), SN1).ok
    queue = inbox_queue(victim.name)
    with arena.hostile.channel(SN1) as channel:
        channel.confirm_delivery()
        forged = pika.BasicProperties(user_id=HOSTILE, reply_to=queue, correlation_id="1")
        body = arena.hostile.encoded(Query("status"))
        channel.basic_publish(request_exchange(Role.MEMBER), "query", body, forged)
    arena.all_answer()
    supernode = Principal(SN1, Role.SUPERNODE, arena.federation.settings[SN1].tls, arena)
    with supernode.channel(SN1) as channel:
        found, *_ = channel.basic_get(queue)
    assert found is None


def test_a_cipher_that_is_not_authenticated_is_refused(arena: Arena) -> None:
    context = client_context(arena.hostile.tls)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384")
    with pytest.raises(ssl.SSLError), arena.hostile.channel(SN1, context):
        pass
    whole = client_context(arena.hostile.tls)
    whole.maximum_version = ssl.TLSVersion.TLSv1_2
    with arena.hostile.channel(SN1, whole) as channel:
        assert channel.is_open


@pytest.mark.parametrize("stranger", ["expired", "foreign"])
def test_a_certificate_of_no_authority_logs_in_nowhere(arena: Arena, stranger: str) -> None:
    pki = arena.federation.plan.folder / "pki"
    folder = arena.federation.plan.folder / stranger
    if stranger == "expired":
        past = datetime.now(UTC) - timedelta(days=9)
        tls = Authority.load(pki).issue(HOSTILE, folder, starts=past, life=timedelta(days=1))
    else:
        tls = Authority.create(folder).issue(HOSTILE, folder)
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(tls.certificate, tls.key)
    with (
        pytest.raises((pika.exceptions.AMQPConnectionError, ssl.SSLError, ConnectionError)),
        arena.hostile.channel(SN1, context),
    ):
        pass

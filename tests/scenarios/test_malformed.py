"""Thousands of malformed messages from users who may publish: all refused, none stops a reader."""

import base64
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import cycle, islice
from random import Random

import pika
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nm_broker import answers
from nm_bus import codec
from nm_bus.codec import FIRST_BYTES, Reason, Rejected
from nm_bus.grants import link_user
from nm_bus.identity.role import MEMBER
from nm_bus.messages import (
    AlertState,
    Event,
    Health,
    Heartbeat,
    Hello,
    Message,
    Metrics,
    PipeState,
    Quarantined,
    Statement,
    domain_key,
)
from nm_bus.protocol import MESSAGES
from nm_bus.settings import MemberSettings, Tls, load
from nm_bus.testing.generated import messages
from nm_bus.topology import (
    DEAD,
    HEARTBEAT,
    METRICS,
    PEER_BYTES,
    PRINCIPAL_BYTES,
    peer_exchange,
    request_exchange,
)
from nm_bus.transport.tls import client_context
from nm_lab.samples.mutated import mutations

from .conftest import HOSTILE, HURT, SN1, SN2, WELL, World
from .until import until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

SEED = 20260101
KEY, ASKED = domain_key(HOSTILE), request_exchange(MEMBER)
BEAT = Heartbeat("boot", 1, 5.0, 1.0, "nm-bus/0.1.0")
SAMPLE = Metrics("boot", 1, 0.0, {"host.load.1m": 1.0})
STATED = Statement(SN2, 0, "life", 1, PipeState("heartbeat.0", proven=True))
TOTALS = (2_000, pytest.param(10_000, marks=pytest.mark.long))


def encoded(message: Message, source: str) -> bytes:
    return codec.encode(message, source=source, id="m1", time=time.time())


def spoilt(*originals: bytes, count: int, limit: int = PRINCIPAL_BYTES) -> list[bytes]:
    """Mutations that no reader can take."""
    bodies = mutations(originals, Random(SEED))
    refused = (b for b in bodies if isinstance(codec.decode(b, limit=limit), Rejected))
    return list(islice(refused, count))


def made_up(count: int) -> list[bytes]:
    """Valid messages of every kind, from a sender that is not who publishes them."""
    bodies: list[bytes] = []

    @seed(SEED)
    @settings(max_examples=count, database=None, deadline=None)
    @given(st.one_of([messages(kind) for kind in MESSAGES]))
    def collect(message: Message) -> None:
        bodies.append(encoded(message, "somebody.else.example.org"))

    collect()
    return bodies


@pytest.fixture
def dead(world: World) -> Iterator[str]:
    """The quarantine of the hurt supernode, empty."""
    world.federation.running[SN1].api.delete("queues", world.vhost, DEAD, "contents")
    yield DEAD
    world.federation.running[SN1].api.delete("queues", world.vhost, DEAD, "contents")


def publish(
    world: World, tls: Tls, user: str, bodies: list[bytes], *places: tuple[str, str]
) -> None:
    """Publish as a user that the broker knows, to these exchanges and keys in turn."""
    broker = world.federation.running[SN1].settings
    parameters = pika.ConnectionParameters(
        host=broker.address,
        port=broker.amqps_port,
        virtual_host=world.vhost,
        credentials=pika.credentials.ExternalCredentials(),
        ssl_options=pika.SSLOptions(client_context(tls), broker.name),
    )
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        for body, (exchange, key) in zip(bodies, cycle(places), strict=False):
            channel.basic_publish(exchange, key, body, pika.BasicProperties(user_id=user))


def quarantined(world: World, total: int) -> list[Quarantined]:
    """Every record in quarantine, read and left there."""
    api = world.federation.running[SN1].api
    wanted = {"count": total, "ackmode": "ack_requeue_true", "encoding": "auto"}
    found = api.post(tuple[answers.Message, ...], wanted, "queues", world.vhost, DEAD, "get")
    events = [codec.decode(each.payload.encode()) for each in found]
    return [e.data for e in events if isinstance(e, Event) and isinstance(e.data, Quarantined)]


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def in_quarantine(world: World) -> int:
    return world.federation.running[SN1].api.depths(world.vhost)[DEAD]


@pytest.mark.parametrize("total", TOTALS)
def test_thousands_of_malformed_messages_are_refused_and_stop_nobody(
    world: World, dead: str, total: int
) -> None:
    forged = made_up(total * 3 // 20)
    beats = spoilt(encoded(BEAT, HOSTILE), encoded(SAMPLE, HOSTILE), count=total // 2)
    requests = spoilt(encoded(Hello(), HOSTILE), count=total // 10)
    rest = total - len(forged) - len(beats) - len(requests)
    told = spoilt(encoded(STATED, SN2), count=rest, limit=PEER_BYTES)
    third = len(forged) // 3
    beats, requests, told = (
        beats + forged[:third],
        requests + forged[third : 2 * third],
        told + forged[2 * third :],
    )
    assert len(beats) + len(requests) + len(told) == total

    federation = world.federation
    own = load(federation.plan.folder / f"{HOSTILE}.toml", MemberSettings).tls
    link, peer = federation.settings[SN2].link_tls, peer_exchange(SN2)
    assert link is not None
    publish(world, own, HOSTILE, beats, (HEARTBEAT, KEY), (METRICS, KEY))
    publish(world, own, HOSTILE, requests, (ASKED, "hello"), (ASKED, "report"))
    publish(world, link, link_user(SN2), told, (peer, "control.canary"), (peer, "bulk.statement"))

    bodies = {digest(body): body for body in beats + requests + told}
    wanted = Counter((HOSTILE, digest(body)) for body in beats + requests)
    wanted.update((link_user(SN2), digest(body)) for body in told)

    def is_whole() -> bool:
        # on a busy machine a confirm may come too late: then a record is published again
        if in_quarantine(world) < total:
            return False
        found = quarantined(world, 2 * total)
        return not wanted - Counter((record.who, record.sha256) for record in found)

    until(is_whole, "each of them is in quarantine", 240.0)
    records = quarantined(world, 2 * total)
    for record in records:
        assert (record.who, record.sha256) in wanted
        assert record.reason in set(Reason)
        assert record.detail
        assert base64.b64decode(record.first) == bodies[record.sha256][:FIRST_BYTES]
    assert {record.exchange for record in records} == {HEARTBEAT, METRICS, ASKED, peer}

    goodbye = [encoded(replace(BEAT, leaving=True), HOSTILE)]
    publish(world, own, HOSTILE, goodbye, (HEARTBEAT, KEY))
    until(lambda: world.health(SN2, HOSTILE) is Health.LEFT, "its next good word is heard")
    now = time.time()
    until(lambda: all(world.heard_since(now, node) for node in (*HURT, *WELL)), "all go on")
    assert world.nobody_was_down()
    until(lambda: world.life("quarantine-growing", SN1) == [AlertState.RAISED], "it is told")

"""What RabbitMQ does that nobody expects, and that nm-bus stands on or keeps clear of."""

from collections.abc import Iterator
from typing import Any

import pika
import pytest
from msgspec.structs import replace
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ProbableAuthenticationError,
)

from nm_broker.project import Principals
from nm_broker.testing.federation import Site, dissolve, eventually, federate
from nm_broker.testing.sandbox import Sandbox
from nm_bus.identity.role import ASKERS, Role
from nm_bus.settings import Limits
from nm_bus.topology import (
    OUT,
    UPDATES,
    UPDATES_LOG,
    LinkKind,
    Sizes,
    heartbeat_queue,
    inbox_topology,
    metrics_queue,
    out_queue,
    peer_queue,
    request_exchange,
    request_queue,
    tail_queue,
    tail_topology,
)

pytestmark = pytest.mark.broker

MEMBER, OTHER = "m1.example.org", "m2.example.org"
KEY, OTHER_KEY = "org.example.m1", "org.example.m2"
COMPONENT = "dashboard.example.org"
PRINCIPALS = Principals((MEMBER, OTHER), components=(COMPONENT,))
PARTITIONS = 3
REPLY_TO = "amq.rabbitmq.reply-to"
Got = tuple[str, str | None, bytes]
"""A message as its consumer judges it: routing key, user id, body."""


@pytest.fixture
def site(broker: Sandbox) -> Iterator[Site]:
    """One supernode without peers."""
    (site,) = federate([broker], PRINCIPALS)
    yield site
    dissolve([site], PRINCIPALS)


@pytest.fixture
def site_of_three(broker: Sandbox) -> Iterator[Site]:
    """One supernode with three ingest processes."""
    (alone,) = federate([broker], PRINCIPALS)
    site = Site(broker, replace(alone.settings, limits=Limits(partitions=PARTITIONS)))
    site.bring_up(PRINCIPALS)
    yield site
    dissolve([site], PRINCIPALS)


@pytest.fixture
def pair(brokers: list[Sandbox]) -> Iterator[tuple[Site, Site]]:
    """Two linked supernodes."""
    here, there = federate(brokers[:2], PRINCIPALS)
    yield here, there
    dissolve([here, there], PRINCIPALS)


def get(channel: BlockingChannel, queue: str) -> Got | None:
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    return None if method is None else (method.routing_key, properties.user_id, body)


def drain(channel: BlockingChannel, queue: str) -> list[Got]:
    return list(iter(lambda: get(channel, queue), None))


def depth(site: Site, queue: str) -> int:
    with site.channel() as channel:
        count: int = channel.queue_declare(queue, passive=True).method.message_count
    return count


# --- who speaks --------------------------------------------------------------------------


def test_nobody_can_say_that_a_message_is_from_another(site: Site) -> None:
    with site.channel(MEMBER) as channel, pytest.raises(ChannelClosedByBroker) as closed:
        channel.basic_publish("heartbeat", KEY, b"", pika.BasicProperties(user_id=OTHER))
    assert closed.value.reply_code == 406


def test_a_message_without_a_user_id_shows_none_to_its_consumer(site: Site) -> None:
    with site.channel(MEMBER) as channel:
        channel.basic_publish("heartbeat", KEY, b"")
    with site.channel() as channel:
        assert get(channel, heartbeat_queue(0)) == (KEY, None, b"")


def copied(site: Site, exchange: str, key: str, header: str, keys: list[str]) -> bool:
    """Publish as a member, with copies to further keys; whether the broker took it."""
    properties = pika.BasicProperties(user_id=MEMBER, headers={header: keys})
    try:
        with site.channel(MEMBER) as channel:
            channel.basic_publish(exchange, key, b"", properties)
    except ChannelClosedByBroker as refused:
        if refused.reply_code != 403:
            raise
        return False
    return True


def checks_copies(site: Site) -> bool:
    """Whether the broker checks the keys of copies as it does the first one: since RabbitMQ 4."""
    return not site.sandbox.broker.api.overview().rabbitmq_version.startswith("3.")


@pytest.mark.parametrize("header", ["CC", "BCC"])
@pytest.mark.parametrize("exchange", ["heartbeat", "metrics"])
def test_a_copy_to_another_members_key_shows_its_true_key_and_sender_and_stays_in_its_partition(
    site_of_three: Site, exchange: str, header: str
) -> None:
    """RabbitMQ before 4 takes it, and gives it to whom watches the other one too."""
    site, mine = site_of_three, (KEY, MEMBER, b"")
    queues = [f"{exchange}.{n}" for n in range(PARTITIONS)]
    site.sandbox.declare(tail_topology("boss", "1", exchange, (OTHER_KEY,), Sizes()))
    assert copied(site, exchange, KEY, header, [])
    with site.channel() as channel:
        alone = [drain(channel, queue) for queue in queues]
    others = [OTHER_KEY, *(f"org.example.n{n}" for n in range(50))]
    took = copied(site, exchange, KEY, header, others)
    with site.channel() as channel:
        came = [drain(channel, queue) for queue in queues]
        watched = drain(channel, tail_queue("boss", "1"))
    assert took is not checks_copies(site)
    assert sorted(alone) == [[], [], [mine]]
    assert came == (alone if took else [[]] * PARTITIONS)
    assert watched == [mine] * took


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_copies_of_a_request_reach_no_other_role_and_are_one_message(
    site: Site, header: str
) -> None:
    """On RabbitMQ before 4 the copies' keys are unchecked, and lead to the same queue again."""
    keys = ["hello", "ask", "member.query", "administrator.query", "component.query", "#"]
    took = copied(site, request_exchange(Role.MEMBER), "query", header, keys)
    assert took is not checks_copies(site)
    with site.channel() as channel:
        came = {role: drain(channel, request_queue(role)) for role in ASKERS}
    assert came.pop(Role.MEMBER) == [("query", MEMBER, b"")] * took
    assert not any(came.values())


def test_a_name_is_not_taken_for_a_pattern(site: Site) -> None:
    with site.channel(MEMBER) as channel:
        for key in ("org-example.m1", "orgXexample.m1", "org.example.m1.x", "x.org.example.m1"):
            own = channel.connection.channel()
            own.confirm_delivery()
            with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
                own.basic_publish("heartbeat", key, b"")


def test_a_member_asks_and_is_answered_without_any_right_but_to_ask(site: Site) -> None:
    answer = b"a" * 200_000
    heard: list[bytes] = []
    with site.channel(MEMBER) as asker, site.channel() as supernode:
        asker.basic_consume(REPLY_TO, lambda *args: heard.append(args[3]), auto_ack=True)
        asker.basic_publish(
            "requests.member", "hello", b"", pika.BasicProperties(reply_to=REPLY_TO)
        )
        _, asked, _ = supernode.basic_get("requests.member", auto_ack=True)
        assert asked.reply_to.startswith(REPLY_TO + ".")
        supernode.basic_publish("", asked.reply_to, answer)
        asker.connection.process_data_events(time_limit=30)
    assert heard == [answer]


def test_an_asker_can_name_the_queue_of_another_for_the_answer(site: Site) -> None:
    """The broker does not refuse it: whoever answers must look at where to."""
    site.sandbox.declare(inbox_topology(OTHER, Sizes()))
    asked = pika.BasicProperties(reply_to=f"inbox.{OTHER}")
    with site.channel(MEMBER) as channel:
        channel.basic_publish("requests.member", "hello", b"", asked)
    with site.channel() as channel:
        _, properties, _ = channel.basic_get("requests.member", auto_ack=True)
    assert not properties.reply_to.startswith(REPLY_TO + ".")


def test_a_supernode_reaches_its_peer_as_a_link_and_not_as_itself(pair: tuple[Site, Site]) -> None:
    here, there = pair
    parameters = there.sandbox.parameters(here.settings.tls)
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(parameters)


# --- what is kept, what is thrown away -----------------------------------------------------


def test_the_two_streams_of_a_member_meet_in_the_same_partition(site_of_three: Site) -> None:
    keys = [f"org.example.m{n}" for n in range(300)]
    with site_of_three.channel() as channel:
        for exchange in ("heartbeat", "metrics"):
            for key in keys:
                channel.basic_publish(exchange, key, b"")
        shares = [
            [{key for key, _, _ in drain(channel, queue(n))} for n in range(PARTITIONS)]
            for queue in (heartbeat_queue, metrics_queue)
        ]
    assert shares[0] == shares[1]
    assert all(shares[0])
    assert set().union(*shares[0]) == set(keys)


def test_what_waits_to_cross_survives_any_number_of_deliveries(pair: tuple[Site, Site]) -> None:
    """RabbitMQ 4 throws a message of a quorum queue away after 20 by default."""
    here, there = pair
    here.links.remove(there.node)
    queue = out_queue(there.node, LinkKind.CONTROL)
    with here.channel() as channel:
        channel.basic_publish(OUT, "control.canary", b"kept")
        for _ in range(30):
            reader = channel.connection.channel()
            eventually(lambda r=reader: r.basic_get(queue)[0] is not None, "a delivery")  # type: ignore[misc]
            reader.close()
    here.bring_up(PRINCIPALS)
    into = peer_queue(here.node, LinkKind.CONTROL)
    eventually(lambda: depth(there, into) == 1, "the message at the peer")


def test_what_expired_while_it_waited_does_not_cross(pair: tuple[Site, Site]) -> None:
    here, there = pair
    here.links.remove(there.node)
    with here.channel() as channel:
        for body, expiration in ((b"stale", "1"), (b"fresh", "60000")):
            brief = pika.BasicProperties(expiration=expiration)
            channel.basic_publish(OUT, "control.canary", body, brief)
    queue = out_queue(there.node, LinkKind.CONTROL)
    eventually(lambda: depth(here, queue) == 1, "one message left")
    here.bring_up(PRINCIPALS)
    into = peer_queue(here.node, LinkKind.CONTROL)
    eventually(lambda: depth(there, into) == 1, "the message at the peer")
    with there.channel() as channel:
        assert [body for _, _, body in drain(channel, into)] == [b"fresh"]


def test_a_full_destination_drops_the_oldest_and_the_link_goes_on(
    pair: tuple[Site, Site],
) -> None:
    here, there = pair
    into, api = peer_queue(here.node, LinkKind.CONTROL), there.sandbox.broker.api
    limit = {"pattern": f"^{into}$", "definition": {"max-length": 10}, "apply-to": "queues"}
    api.put(limit, "policies", there.sandbox.vhost, "small")
    with here.channel() as channel:
        for number in range(500):
            channel.basic_publish(OUT, "control.canary", str(number).encode())
    queue = out_queue(there.node, LinkKind.CONTROL)
    eventually(lambda: depth(here, queue) == 0, "an empty queue at the source")
    with there.channel() as channel:

        def newest_came() -> bool:
            kept.extend(int(body) for _, _, body in drain(channel, into))
            return 499 in kept

        kept: list[int] = []
        eventually(newest_came, "the newest message")
    assert kept == sorted(set(kept))
    told = here.sandbox.broker.api.get(dict[str, Any], "queues", here.sandbox.vhost, queue)
    assert told.get("message_stats", {}).get("redeliver", 0) == 0


# --- what a member could do to a link ------------------------------------------------------


def test_nothing_that_a_member_says_gets_into_a_link(pair: tuple[Site, Site]) -> None:
    """A message that the destination refuses would be tried for ever, and hold up all others."""
    here, there = pair
    here.links.remove(there.node)
    copies = {"CC": ["control.x", "bulk.x", f"out.{there.node}.control", "#"]}
    for exchange, key in (("heartbeat", KEY), ("metrics", KEY), ("requests.member", "report")):
        for header in (copies, {"BCC": copies["CC"]}, None):
            try:
                with here.channel(MEMBER) as channel:
                    own = pika.BasicProperties(user_id=MEMBER, headers=header)
                    channel.basic_publish(exchange, key, b"poison", own)
            except ChannelClosedByBroker as refused:
                if refused.reply_code != 403:
                    raise
    for kind in LinkKind:
        assert depth(here, out_queue(there.node, kind)) == 0


def test_a_link_takes_messages_with_any_key_and_any_users_name(pair: tuple[Site, Site]) -> None:
    """The link's user is held to no key, and the shovel writes its own name over the user's."""
    here, there = pair
    with here.channel() as channel:
        for key in ("control.canary", "control.a.b.c", f"control.{'x' * 200}"):
            own = pika.BasicProperties(user_id=here.node, headers={"CC": [OTHER_KEY]})
            channel.basic_publish(OUT, key, b"", own)
    into = peer_queue(here.node, LinkKind.CONTROL)
    eventually(lambda: depth(there, into) == 3, "three messages at the peer")


# --- the log of updates ----------------------------------------------------------------------


def replayed(channel: BlockingChannel, count: int, start: str | int) -> list[bytes]:
    """What the stream holds, from an offset on; each is acknowledged, as a stream demands."""
    channel.basic_qos(prefetch_count=count)
    bodies: list[bytes] = []
    offset = {"x-stream-offset": start}
    for method, _, body in channel.consume(UPDATES_LOG, arguments=offset, inactivity_timeout=60.0):
        assert method is not None, "nothing came for a minute"
        channel.basic_ack(method.delivery_tag)
        bodies.append(body)
        if len(bodies) == count:
            break
    return bodies


def test_a_component_replays_the_log_of_updates_from_any_point_and_harms_nothing(
    site: Site,
) -> None:
    """A stream is read with a prefetch and acknowledgements; reading it takes nothing from it."""
    with site.channel() as channel:
        for number in range(5):
            channel.basic_publish(UPDATES, "config.a.b", str(number).encode())
    with site.channel(COMPONENT) as channel:
        assert replayed(channel, 5, "first") == [b"0", b"1", b"2", b"3", b"4"]
    with site.channel(COMPONENT) as channel:
        assert replayed(channel, 2, 3) == [b"3", b"4"]
    with pytest.raises(ConnectionClosedByBroker) as closed, site.channel(COMPONENT) as channel:
        channel.queue_purge(UPDATES_LOG)
    assert closed.value.reply_code == 540

"""Links as data: what a shovel is told, and what is read out of the broker's statements."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from nm_broker.answers import MessageStats, QueueAnswer, Shovel
from nm_broker.links import Link, link_state, links_of, looks, shovel
from nm_bus.core.links import LinkHealth, LinkSeen, LinkVerdict, ShovelState
from nm_bus.errors import ConfigError
from nm_bus.settings import Broker, Peer, SupernodeSettings, Tls
from nm_bus.topology import LinkKind

SN1, SN2 = "sn1.example.org", "sn2.example.org"
LINK_TLS = Tls(Path("/etc/n m/ca.crt"), Path("/etc/n m/link.crt"), Path("/etc/n m/link.key"))
PEER = Peer(SN2, Broker("broker.example.org", 5671, "127.0.9.2"))
CONTROL: Link = (SN2, LinkKind.CONTROL)
SHOVEL, QUEUE = "to.sn2.example.org.control", "out.sn2.example.org.control"


def settings(link_tls: Tls | None = LINK_TLS) -> SupernodeSettings:
    broker = Broker("localhost")
    return SupernodeSettings(
        "demo", SN1, Path("/x"), broker, LINK_TLS, link_tls=link_tls, peers=(PEER,), network="local"
    )


def test_a_shovel_reads_one_queue_and_writes_to_one_exchange() -> None:
    value = shovel(settings(), PEER, LinkKind.CONTROL)
    assert value["src-uri"] == "amqp://_shovel@/nm.demo"
    assert value["src-queue"] == "out.sn2.example.org.control"
    assert value["dest-exchange"] == "peer.sn1.example.org"
    assert value["ack-mode"] == "on-confirm"


def test_a_shovel_keeps_the_key_and_says_who_it_is() -> None:
    value = shovel(settings(), PEER, LinkKind.BULK)
    assert "dest-exchange-key" not in value
    assert value["dest-publish-properties"] == {"user_id": "_link.sn1.example.org"}


def test_a_shovel_checks_the_name_of_the_broker_it_reaches() -> None:
    uri = urlsplit(shovel(settings(), PEER, LinkKind.BULK)["dest-uri"])
    options = {key: values[0] for key, values in parse_qs(uri.query).items()}
    assert (uri.scheme, uri.netloc, uri.path) == ("amqps", "127.0.9.2:5671", "/nm.demo")
    assert options == {
        "cacertfile": "/etc/n m/ca.crt",
        "certfile": "/etc/n m/link.crt",
        "keyfile": "/etc/n m/link.key",
        "verify": "verify_peer",
        "server_name_indication": "broker.example.org",
        "auth_mechanism": "external",
        "heartbeat": "5",
        "connection_timeout": "5000",
    }
    assert "+" not in uri.query


def test_an_address_of_ipv6_is_in_brackets() -> None:
    peer = Peer(SN2, Broker("broker.example.org", 5671, "2001:db8::1"))
    uri = urlsplit(shovel(settings(), peer, LinkKind.BULK)["dest-uri"])
    assert (uri.netloc, uri.hostname, uri.port) == ("[2001:db8::1]:5671", "2001:db8::1", 5671)


def test_a_link_without_a_certificate_is_a_setting_to_mend() -> None:
    with pytest.raises(ConfigError, match="link_tls"):
        shovel(settings(link_tls=None), PEER, LinkKind.BULK)


def test_there_are_two_links_to_each_peer() -> None:
    assert links_of([PEER]) == [(SN2, LinkKind.CONTROL), (SN2, LinkKind.BULK)]


@pytest.mark.parametrize(
    ("shovel", "queue", "seen"),
    [
        (None, None, LinkSeen(ShovelState.MISSING)),
        (
            Shovel(name=SHOVEL, state="running"),
            QueueAnswer(
                name=QUEUE,
                messages_ready=3,
                messages_unacknowledged=4,
                message_stats=MessageStats(ack=5),
            ),
            LinkSeen(ShovelState.RUNNING, "", 3, 4, 5, 77.0),
        ),
        (
            Shovel(name=SHOVEL, state="terminated", reason="a\n   b"),
            QueueAnswer(name=QUEUE),
            LinkSeen(ShovelState.TERMINATED, "a b"),
        ),
        (
            Shovel(name=SHOVEL, state="starting", reason="x" * 999),
            None,
            LinkSeen(ShovelState.STARTING, "x" * 200),
        ),
        (
            Shovel(name=SHOVEL, state="blocked"),
            None,
            LinkSeen(ShovelState.BLOCKED),
        ),
        (
            Shovel(name=SHOVEL, state="flow"),
            None,
            LinkSeen(ShovelState.RUNNING),
        ),
    ],
)
def test_a_look_puts_shovel_and_queue_together(
    shovel: Shovel | None, queue: QueueAnswer | None, seen: LinkSeen
) -> None:
    shovels, queues = {SHOVEL: shovel} if shovel else {}, {QUEUE: queue} if queue else {}
    heard = {} if seen.heard is None else {CONTROL: seen.heard}
    assert looks([CONTROL], shovels, queues, heard) == {CONTROL: seen}


def test_the_statement_of_a_link_counts_what_waits_and_what_crossed() -> None:
    seen = LinkSeen(ShovelState.RUNNING, ready=3, unacked=4, acked=5)
    state = link_state(SN1, CONTROL, seen, LinkVerdict(LinkHealth.WEDGED, "none crossed"), 0.5)
    assert (state.source, state.destination, state.kind) == (SN1, SN2, "control")
    assert (state.state, state.reason) == ("wedged", "none crossed")
    assert (state.backlog, state.moved, state.delay) == (7, 5, 0.5)

"""Names and limits: what no broker needs to run for, read off the data itself."""

from itertools import pairwise

import pytest

from nm_bus.core.ledger.keys import FAMILY_FEEDS, feed_of, prefixes_of
from nm_bus.identity.role import ASKERS
from nm_bus.messages import Change, Query, Tail
from nm_bus.topology import (
    HEARTBEAT,
    KEY_BYTES,
    METRICS,
    OUT,
    UPDATES,
    UPDATES_LOG,
    LinkKind,
    Queue,
    Sizes,
    Topology,
    alert_bindings,
    base_topology,
    feed_bindings,
    hash_exchange,
    heartbeat_queue,
    inbox_queue,
    inbox_topology,
    ingest_topology,
    link_topology,
    metrics_queue,
    out_queue,
    project_topology,
    request_exchange,
    request_key,
    request_queue,
    update_key,
)
from nm_bus.transport.memory_broker import topic_matches

NODE, PEER = "n1.llnl.gov", "sn2.dkrz.de"


def whole() -> Topology:
    sizes = Sizes(partitions=3)
    return project_topology(sizes) + link_topology(PEER, sizes) + inbox_topology(NODE, sizes)


QUEUES = [queue for queue in whole().queues if queue.type != "stream"]


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_every_queue_is_bounded_in_messages_and_bytes_and_drops_its_oldest(queue: Queue) -> None:
    assert queue.arguments["x-max-length"] > 0
    assert queue.arguments["x-max-length-bytes"] > 0
    assert queue.arguments["x-overflow"] == "drop-head"


def test_the_log_of_updates_is_bounded_by_whole_segments() -> None:
    (log,) = (queue for queue in whole().queues if queue.type == "stream")
    limits = log.declared_arguments()
    assert log.name == UPDATES_LOG
    assert limits["x-max-length-bytes"] >= 2 * limits["x-stream-max-segment-size-bytes"] > 0
    assert limits.keys().isdisjoint({"x-overflow", "x-max-length", "x-queue-version"})


def test_the_log_hears_of_all_updates_and_an_inbox_of_the_feeds_that_it_lives_by() -> None:
    heard = [(b.destination, b.key) for b in whole().bindings if b.source == UPDATES]
    assert heard == [(UPDATES_LOG, "#")]
    inbox = inbox_topology(NODE, Sizes(), feeds=("config/a", "lock", "config/a"))
    assert [b.key for b in inbox.bindings] == ["config.a.#", "lock.#", "session.#"]
    assert inbox.deleted == ()
    assert inbox_topology(NODE, Sizes(), anew=True).deleted == (inbox_queue(NODE),)


@pytest.mark.parametrize(
    ("kind", "key", "routing_key"),
    [
        ("set", "config/thredds/catalog.xml", "config.thredds.catalog.xml"),
        ("set", "config/thredds/etc/catalog.xml", "config.thredds.etc.catalog.xml"),
        ("join", f"member/{NODE}", "member.join.gov.llnl.n1"),
        ("admit", f"supernode/{PEER}", "supernode.admit.de.dkrz.sn2"),
        ("set", "role/alice", "role.alice"),
        ("set", "record/endpoint/n1.llnl.gov", "record.endpoint.n1.llnl.gov"),
        ("lock", "lock/indexer", "lock.indexer"),
        ("set", "policy/alerts", "policy.alerts"),
        ("set", "config/a/" + "b" * 400, ("config.a." + "b" * 400)[:KEY_BYTES]),
    ],
)
def test_an_update_is_found_by_what_it_changed(kind: str, key: str, routing_key: str) -> None:
    assert update_key(Change("alice/1/1", "alice", kind, key)) == routing_key


@pytest.mark.parametrize(
    ("feed", "bindings"),
    [
        ("", ("#",)),
        ("config/thredds", ("config.thredds.#",)),
        ("config/a.b", ("config.a.b.#",)),
        ("member", ("member.#",)),
        ("lock", ("lock.#", "session.#")),
    ],
)
def test_a_feed_is_bound_by_the_beginnings_of_its_keys(
    feed: str, bindings: tuple[str, ...]
) -> None:
    assert feed_bindings(feed) == bindings


@pytest.mark.parametrize("feed", ["", "config/thredds", *FAMILY_FEEDS])
def test_what_is_bound_of_a_feed_are_its_keys(feed: str) -> None:
    bound = [key.removesuffix("#").replace(".", "/") for key in feed_bindings(feed)]
    assert bound == list(prefixes_of(feed))


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("set", "config/thredds/etc/catalog.xml"),
        ("join", f"member/{NODE}"),
        ("admit", f"supernode/{PEER}"),
        ("set", "role/alice"),
        ("set", "record/endpoint/n1.llnl.gov"),
        ("lock", "lock/indexer"),
        ("close", "session/alice/web"),
    ],
)
def test_an_update_reaches_who_binds_its_feed(kind: str, key: str) -> None:
    change = Change("alice/1/1", "alice", kind, key)
    bound = feed_bindings(feed_of(key))
    assert any(topic_matches(pattern, update_key(change)) for pattern in bound)
    assert not any(topic_matches(p, update_key(change)) for p in feed_bindings("config/other"))


def test_a_request_is_sent_by_its_verb_and_a_tail_of_updates_by_one_of_its_own() -> None:
    assert request_key(Query("status")) == "query"
    assert request_key(Tail("metrics")) == "tail"
    assert request_key(Tail("updates")) == "tail.updates"


def test_roles_share_no_exchange_of_requests_and_no_queue_of_them() -> None:
    ways = {(b.source, b.destination) for b in base_topology(Sizes()).bindings}
    for role in ASKERS:
        of_role = (request_exchange(role), request_queue(role))
        assert {way for way in ways if set(way) & set(of_role)} == {of_role}


def test_a_members_two_streams_are_bound_in_the_same_order() -> None:
    bound = ingest_topology(Sizes(partitions=3)).bindings
    of = {
        stream: [b.destination for b in bound if b.source == hash_exchange(stream)]
        for stream in (HEARTBEAT, METRICS)
    }
    assert of[HEARTBEAT] == [heartbeat_queue(n) for n in range(3)]
    assert of[METRICS] == [metrics_queue(n) for n in range(3)]


def test_heartbeat_queues_hold_three_times_the_members() -> None:
    queues = {queue.name: queue for queue in ingest_topology(Sizes(members=5_000)).queues}
    assert queues[heartbeat_queue(0)].arguments["x-max-length"] == 15_000


def test_each_kind_of_a_link_has_its_own_way_out_and_in() -> None:
    bindings = link_topology(PEER, Sizes()).bindings
    for kind in LinkKind:
        keys = {b.source: b.key for b in bindings if b.destination == out_queue(PEER, kind)}
        assert list(keys.values()) == [f"{kind}.#"]
    assert [b.source for b in bindings if b.to_exchange] == [OUT]


def test_no_name_is_given_twice() -> None:
    names = sorted(queue.name for queue in whole().queues)
    assert all(one != other for one, other in pairwise(names))


def test_a_subscription_binds_each_severity_for_each_site() -> None:
    assert alert_bindings((), ()) == ["*.*.#"]
    assert alert_bindings((), ("gov.llnl",)) == ["*.*.gov.llnl.#"]

"""Names, limits and grants: what no broker needs to run for, read off the data itself."""

import re
from itertools import pairwise

import pytest

from nm_bus.topology import (
    HEARTBEAT,
    METRICS,
    NOTHING,
    OUT,
    REQUESTS,
    VERBS,
    Grant,
    LinkKind,
    Queue,
    Role,
    Sizes,
    Topology,
    alert_bindings,
    alerts_queue,
    grant,
    hash_exchange,
    heartbeat_queue,
    inbox_queue,
    inbox_topology,
    ingest_topology,
    link_topology,
    link_user,
    metrics_queue,
    out_queue,
    peer_exchange,
    project_topology,
    tail_queue,
)

NODE, PEER = "n1.llnl.gov", "sn2.dkrz.de"
PRINCIPALS = (Role.MEMBER, Role.ADMINISTRATOR, Role.COMPONENT)


def may(expression: str, name: str) -> bool:
    """Whether the broker would allow it: it searches, so only anchors make it a whole match."""
    return re.search(expression, name) is not None


def whole() -> Topology:
    sizes = Sizes(partitions=3)
    return project_topology(sizes) + link_topology(PEER, sizes) + inbox_topology(NODE, sizes)


@pytest.mark.parametrize("queue", whole().queues, ids=lambda queue: queue.name)
def test_every_queue_is_bounded_in_messages_and_bytes_and_drops_its_oldest(queue: Queue) -> None:
    assert queue.arguments["x-max-length"] > 0
    assert queue.arguments["x-max-length-bytes"] > 0
    assert queue.arguments["x-overflow"] == "drop-head"


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


def test_a_dot_in_a_name_matches_a_dot_only() -> None:
    own = grant(Role.MEMBER, NODE)
    assert may(own.read, inbox_queue(NODE))
    assert not may(own.read, inbox_queue("n1xllnl.gov"))
    write, _ = own.topics[HEARTBEAT]
    assert may(write, "gov.llnl.n1")
    assert not may(write, "govxllnl.n1")
    assert not may(write, "gov.llnl.n1.more")


@pytest.mark.parametrize("role", PRINCIPALS)
def test_a_principal_makes_nothing_and_asks_only_what_its_role_may(role: Role) -> None:
    own = grant(role, NODE)
    assert own.configure == NOTHING
    write, read = own.topics[REQUESTS]
    assert read == NOTHING
    for verb in {verb for verbs in VERBS.values() for verb in verbs}:
        assert may(write, verb) is (verb in VERBS[role])


def test_who_reads_alerts_reads_only_its_own() -> None:
    own = grant(Role.ADMINISTRATOR, "me")
    assert may(own.read, alerts_queue("me"))
    assert may(own.read, alerts_queue("me", "pager"))
    assert may(own.read, tail_queue("me", "0f"))
    for foreign in (alerts_queue("me2"), alerts_queue("you", "me"), inbox_queue("me")):
        assert not may(own.read, foreign)


def test_a_link_writes_to_its_own_exchange_and_to_nothing_else() -> None:
    own = grant(Role.LINK, link_user(PEER))
    assert may(own.write, peer_exchange(PEER))
    assert not may(own.write, peer_exchange(f"{PEER}.org"))
    assert (own.configure, own.read) == (NOTHING, NOTHING)


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.SUPERNODE])
def test_whatever_is_granted_is_anchored(role: Role) -> None:
    own: Grant = grant(role, NODE)
    limits = [side for pair in own.topics.values() for side in pair]
    for expression in (own.configure, own.write, own.read, *limits):
        assert expression.startswith("^")
        assert expression.endswith("$")


def test_a_subscription_binds_each_severity_for_each_site() -> None:
    assert alert_bindings((), ()) == ["*.*.#"]
    assert alert_bindings((), ("gov.llnl",)) == ["*.*.gov.llnl.#"]

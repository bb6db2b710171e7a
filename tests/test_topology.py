"""Names and limits: what no broker needs to run for, read off the data itself."""

from itertools import pairwise

import pytest

from nm_bus.topology import (
    HEARTBEAT,
    METRICS,
    OUT,
    LinkKind,
    Queue,
    Sizes,
    Topology,
    alert_bindings,
    hash_exchange,
    heartbeat_queue,
    inbox_topology,
    ingest_topology,
    link_topology,
    metrics_queue,
    out_queue,
    project_topology,
)

NODE, PEER = "n1.llnl.gov", "sn2.dkrz.de"


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


def test_a_subscription_binds_each_severity_for_each_site() -> None:
    assert alert_bindings((), ()) == ["*.*.#"]
    assert alert_bindings((), ("gov.llnl",)) == ["*.*.gov.llnl.#"]

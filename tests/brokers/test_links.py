"""Links between three brokers: what is lost (nothing), what is told, and what brings them back."""

import time
from collections.abc import Iterator
from itertools import permutations, product

import pika
import pytest
from msgspec.structs import replace

from nm_broker.links import Link, link_state
from nm_broker.project import Principals
from nm_broker.testing.federation import Site, dissolve, eventually, federate
from nm_broker.testing.sandbox import Sandbox
from nm_bus.core.links import LinkAudit, LinkHealth, LinkLimits, RestartLink, ShovelState
from nm_bus.grants import NOTHING, Grant, link_user
from nm_bus.identity.role import Role
from nm_bus.topology import OUT, LinkKind, out_queue, peer_exchange, peer_queue

pytestmark = pytest.mark.broker

NOBODY = Principals()
PERSISTENT = pika.BasicProperties(delivery_mode=2)
LIMITS = LinkLimits(unheard=3, stalled=8)
"""Longer than the five seconds by which the broker's statements may be late."""


@pytest.fixture
def sites(brokers: list[Sandbox]) -> Iterator[list[Site]]:
    """Three supernodes, all links running."""
    sites = federate(brokers, NOBODY)
    eventually(lambda: all(runs(site) for site in sites), "running links")
    yield sites
    dissolve(sites, NOBODY)


def runs(site: Site) -> bool:
    return all(seen.state is ShovelState.RUNNING for seen in site.links.look().values())


def control(peer: Site) -> Link:
    return (peer.node, LinkKind.CONTROL)


def send(site: Site, numbers: range, kind: LinkKind = LinkKind.CONTROL) -> None:
    """Publish numbered messages to all peers; the broker has them all when this returns."""
    with site.channel() as channel:
        for number in numbers:
            channel.basic_publish(OUT, f"{kind}.canary", str(number).encode(), PERSISTENT)


def take(site: Site, origin: Site, kind: LinkKind = LinkKind.CONTROL) -> list[int]:
    """Take what has arrived from a peer, in the order of arrival."""
    numbers = []
    with site.channel() as channel:
        while (got := channel.basic_get(peer_queue(origin.node, kind), auto_ack=True))[0]:
            numbers.append(int(got[2]))
    return numbers


def await_all(
    site: Site, origin: Site, numbers: range, kind: LinkKind = LinkKind.CONTROL
) -> list[int]:
    """Wait until each number has arrived at least once."""
    arrived: list[int] = []

    def complete() -> bool:
        arrived.extend(take(site, origin, kind))
        return set(numbers) <= set(arrived)

    eventually(complete, f"{len(numbers)} messages from {origin.node} at {site.node}")
    return arrived


def test_what_a_supernode_says_reaches_each_peer_on_both_links(sites: list[Site]) -> None:
    for origin, kind in product(sites, LinkKind):
        send(origin, range(5), kind)
    for (origin, site), kind in product(permutations(sites, 2), LinkKind):
        assert await_all(site, origin, range(5), kind) == list(range(5))


def test_a_message_crosses_as_it_is_but_for_the_name_of_the_link(sites: list[Site]) -> None:
    here, there, _ = sites
    said = pika.BasicProperties(
        user_id=here.node,
        headers={"incarnation": "i1", "sequence": 7},
        correlation_id="c1",
        expiration="60000",
        delivery_mode=2,
    )
    with here.channel() as channel:
        channel.basic_publish(OUT, "bulk.rollups", b"body", said)
    heard = []

    def arrives() -> bool:
        with there.channel() as channel:
            heard.append(channel.basic_get(peer_queue(here.node, LinkKind.BULK), auto_ack=True))
        return heard[-1][0] is not None

    eventually(arrives, "the message")
    method, properties, body = heard[-1]
    assert (method.exchange, method.routing_key, body) == (
        peer_exchange(here.node),
        "bulk.rollups",
        b"body",
    )
    assert properties.user_id == link_user(here.node)
    assert (properties.correlation_id, properties.expiration) == ("c1", "60000")
    assert properties.headers["sequence"] == 7


def test_a_killed_destination_loses_nothing(sites: list[Site]) -> None:
    here, there, other = sites
    send(here, range(400))
    there.sandbox.broker.kill()
    send(here, range(400, 500))
    eventually(lambda: not runs(here), "a link that is said not to run")
    assert await_all(other, here, range(500)) == list(range(500))
    there.sandbox.revive()
    await_all(there, here, range(500))


def test_a_killed_source_loses_nothing_it_had_confirmed(sites: list[Site]) -> None:
    here, there, other = sites
    send(here, range(500))
    here.sandbox.broker.kill()
    here.sandbox.revive()
    send(here, range(500, 600))
    for site in (there, other):
        await_all(site, here, range(600))


def test_a_paused_destination_is_told_and_loses_nothing(sites: list[Site]) -> None:
    here, there, other = sites
    there.sandbox.broker.pause()
    send(here, range(100))
    eventually(
        lambda: here.links.look()[control(there)].state is not ShovelState.RUNNING,
        "a link that is said not to run",
    )
    audit = LinkAudit(LIMITS, jitter=lambda: 0.5)
    seen = here.links.look()[control(there)]
    verdict, effects = audit.observe(seen, time.monotonic())
    state = link_state(here.node, control(there), seen, verdict)
    assert state.state in {LinkHealth.STARTING, LinkHealth.TERMINATED}
    assert state.reason.startswith("not connected for")
    assert effects == ()
    assert await_all(other, here, range(100)) == list(range(100))
    there.sandbox.broker.resume()
    await_all(there, here, range(100))


def test_a_destination_in_memory_alarm_holds_the_link_up_and_loses_nothing(
    sites: list[Site],
) -> None:
    here, there, _ = sites
    with there.sandbox.broker.memory_alarm():
        send(here, range(300))
        eventually(lambda: here.links.look()[control(there)].unacked > 0, "unacknowledged messages")
        state = here.links.look()[control(there)].state
        assert state in {ShovelState.RUNNING, ShovelState.BLOCKED}
    await_all(there, here, range(300))


def test_a_wedged_link_is_found_by_what_does_not_cross_and_mended(sites: list[Site]) -> None:
    """RabbitMQ 3.10 says "running" of such a link for ever, 4 starts it each second in vain."""
    here, there, _ = sites
    link, api = control(there), there.sandbox.broker.api
    api.apply(Grant(link_user(here.node), NOTHING, NOTHING, NOTHING), there.sandbox.vhost)
    send(here, range(1))
    audit, asked = LinkAudit(LIMITS, jitter=lambda: 0.5), list[RestartLink]()

    def is_found() -> bool:
        asked.extend(audit.observe(here.links.look()[link], time.monotonic())[1])
        return bool(asked)

    eventually(is_found, "a restart that is asked for")
    there.access.admit(Role.LINK, here.node)
    here.links.restart(link)
    assert await_all(there, here, range(1)) == [0]


def test_a_revoked_link_is_cut_and_comes_back_when_it_is_admitted_again(
    sites: list[Site],
) -> None:
    here, there, _ = sites
    there.access.revoke(Role.LINK, here.node)
    send(here, range(10))
    eventually(
        lambda: here.links.look()[control(there)].state is not ShovelState.RUNNING,
        "a link that is said not to run",
    )
    assert take(there, here) == []
    there.access.admit(Role.LINK, here.node)
    assert await_all(there, here, range(10)) == list(range(10))


def test_a_missing_source_queue_is_told_and_not_silently_made_again(sites: list[Site]) -> None:
    here, there, _ = sites
    queue, api = out_queue(there.node, LinkKind.CONTROL), here.sandbox.broker.api
    api.delete_queue(here.sandbox.vhost, queue)
    eventually(
        lambda: here.links.look()[control(there)].state is ShovelState.TERMINATED,
        "a link that is said to be terminated",
    )
    assert queue not in api.queues(here.sandbox.vhost)
    here.bring_up(NOBODY)
    send(here, range(10))
    assert await_all(there, here, range(10)) == list(range(10))


def test_bringing_a_project_up_again_disturbs_no_link(sites: list[Site]) -> None:
    here = sites[0]
    before = here.sandbox.broker.api.shovels(here.sandbox.vhost)
    time.sleep(1.1)  # the broker tells the time of a start in whole seconds
    here.bring_up(NOBODY)
    assert here.sandbox.broker.api.shovels(here.sandbox.vhost) == before


def test_who_is_no_peer_any_longer_loses_its_links_and_its_user(sites: list[Site]) -> None:
    here, there, other = sites
    fewer = replace(here.settings, peers=here.settings.peers[:1])
    Site(here.sandbox, fewer).bring_up(NOBODY)
    assert {link[0] for link in here.links.look()} == {there.node, other.node}
    eventually(lambda: here.links.look()[control(other)].state is ShovelState.MISSING, "no link")
    assert here.access.origins() == {there.node}

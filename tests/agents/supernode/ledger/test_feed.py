"""Updates reach the exchange in order and at least once, whatever becomes of the broker."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from nm_agents.supernode.ledger.feed import IN_FLIGHT, UpdateFeed
from nm_bus.codec import decode
from nm_bus.messages import Event, Update
from nm_bus.topology import UPDATES, UPDATES_LOG, Binding, Queue, Topology
from nm_bus.transport.base import Delivery
from nm_bus.transport.memory import MemoryTransport

from .conftest import Crowd, Site

Make = Callable[..., Crowd]


class Reader:
    """Reads all updates of one broker."""

    def __init__(self, site: Site) -> None:
        self.updates: list[Update] = []
        self.keys: list[str] = []
        self.transport = MemoryTransport(
            site.broker, site.clock, user=site.node, random=site.random.random
        )
        self.transport.consume(UPDATES_LOG, self._came)
        self.transport.start()

    def _came(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        assert isinstance(event, Event), event
        assert isinstance(event.data, Update)
        self.updates.append(event.data)
        self.keys.append(delivery.key)
        self.transport.ack(delivery)

    @property
    def revisions(self) -> list[int]:
        return [update.revision for update in self.updates]

    @property
    def first_seen(self) -> list[int]:
        """Each revision where it came for the first time."""
        return list(dict.fromkeys(self.revisions))


@pytest.fixture
def site(make_crowd: Make) -> Site:
    """A supernode that is alone."""
    (site,) = make_crowd(1)
    return site


def feed_of(site: Site) -> UpdateFeed:
    assert site.process is not None
    feed = UpdateFeed(site.ledger, site.process)
    feed.start()
    return feed


def test_updates_come_in_order_with_their_chain_and_their_keys(site: Site) -> None:
    reader, feed = Reader(site), feed_of(site)
    for number in range(1, 4):
        site.put(number)
    site.clock.advance(5.0)
    assert reader.revisions == [1, 2, 3]
    assert all(one.head == next_.previous for one, next_ in pairwise(reader.updates))
    assert set(reader.keys) == {"config.sn1.example.org.document"}
    assert feed.behind == 0


def test_many_go_out_a_few_at_a_time_and_all_arrive(site: Site) -> None:
    count = 3 * IN_FLIGHT
    for number in range(1, count + 1):
        site.put(number)
    reader, feed = Reader(site), feed_of(site)
    site.clock.run(lambda: feed.behind == 0, 60.0)
    site.clock.advance(1.0)
    assert reader.revisions == list(range(1, count + 1))


def test_another_life_goes_on_where_it_was_confirmed(site: Site) -> None:
    reader = Reader(site)
    feed_of(site)
    site.put(1)
    site.clock.advance(5.0)
    site.kill()
    site.start()
    feed = feed_of(site)
    site.put(2)
    site.clock.run(lambda: feed.behind == 0, 60.0)
    site.clock.advance(1.0)
    assert reader.revisions == [1, 2]


def test_what_was_confirmed_and_not_kept_comes_again_and_nothing_is_missing(site: Site) -> None:
    reader = Reader(site)
    feed_of(site)
    site.put(1)
    site.clock.advance(0.1)
    site.kill()
    site.start()
    feed = feed_of(site)
    site.put(2)
    site.clock.run(lambda: feed.behind == 0, 60.0)
    site.clock.advance(1.0)
    assert reader.first_seen == [1, 2]


def test_a_broker_that_is_away_gets_the_rest_when_it_is_back(site: Site) -> None:
    reader, feed = Reader(site), feed_of(site)
    site.put(1)
    site.clock.advance(5.0)
    site.broker.stop()
    for number in range(2, 6):
        site.put(number)
    site.clock.advance(30.0)
    assert feed.behind == 4
    site.broker.start()
    site.clock.run(lambda: feed.behind == 0, 120.0)
    site.clock.run(lambda: len(reader.first_seen) == 5, 120.0)
    assert reader.first_seen == [1, 2, 3, 4, 5]


def test_a_broker_that_refuses_is_asked_again_from_the_first_refused(site: Site) -> None:
    full = Queue("full", arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
    site.broker.declare(Topology(queues=(full,), bindings=(Binding(UPDATES, "full"),)))
    reader, feed = Reader(site), feed_of(site)
    for number in range(1, 6):
        site.put(number)
    site.clock.advance(30.0)
    assert feed.behind == 3
    site.broker.delete_queue("full")
    site.clock.run(lambda: feed.behind == 0, 60.0)
    site.clock.advance(1.0)
    assert reader.first_seen == [1, 2, 3, 4, 5]

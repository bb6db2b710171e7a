"""A transport tries its brokers in their order, and ends only when no one of them can ever do."""

import pytest

from nm_bus.settings import Broker
from nm_bus.transport.endpoints import Endpoints

ONE, TWO, THREE = Broker("one.org"), Broker("two.org", 5672), Broker("three.org")


def test_it_stays_at_the_first_that_answers() -> None:
    endpoints = Endpoints([ONE, TWO])
    endpoints.failed(None)
    endpoints.reached()
    assert (endpoints.current, endpoints.current.where) == (TWO, "two.org:5672")


def test_after_the_last_one_the_first_is_tried_again() -> None:
    endpoints = Endpoints([ONE, TWO, THREE])
    tried = []
    for _ in range(4):
        tried.append(endpoints.current)
        endpoints.failed(None)
    assert tried == [ONE, TWO, THREE, ONE]


def test_it_is_hopeless_only_when_it_is_so_at_each() -> None:
    endpoints = Endpoints([ONE, TWO])
    assert not endpoints.failed(1)
    assert not endpoints.failed(None)
    assert not endpoints.failed(1)
    assert endpoints.failed(2)


def test_a_failure_that_may_pass_is_counted_for_its_own_broker_alone() -> None:
    endpoints = Endpoints([ONE])
    assert [endpoints.failed(3) for _ in range(3)] == [False, False, True]
    endpoints.reached()
    assert not endpoints.failed(3)


def test_it_can_be_pointed_elsewhere() -> None:
    endpoints = Endpoints([ONE, TWO])
    endpoints.failed(1)
    endpoints.point([THREE])
    assert endpoints.current is THREE
    assert not endpoints.failed(2)


def test_there_is_always_one() -> None:
    with pytest.raises(ValueError, match="needs a broker"):
        Endpoints([])

"""Connections as hints: joined by name, and nobody is lost who holds another one."""

from nm_bus.core.connections import REASON, Connections
from nm_bus.messages import Connection


def test_the_last_connection_to_close_is_the_hint() -> None:
    connections = Connections()
    assert connections.opened("c1", "n1") == Connection("n1", connected=True)
    assert connections.opened("c2", "n1") is None
    assert connections.closed("c1") is None
    assert connections.closed("c2") == Connection("n1", connected=False, reason=REASON)


def test_an_unknown_connection_says_nothing() -> None:
    assert Connections().closed("never seen") is None


def test_a_reconnection_before_the_old_one_was_noticed_dead_loses_nobody() -> None:
    connections = Connections()
    connections.opened("old", "n1")
    connections.opened("new", "n1")
    assert connections.closed("old") is None


def test_the_brokers_own_list_adds_to_what_its_events_told() -> None:
    connections = Connections()
    connections.opened("since", "n1")
    connections.listed({"before": "n2"})
    assert connections.closed("since") == Connection("n1", connected=False, reason=REASON)
    assert connections.closed("before") == Connection("n2", connected=False, reason=REASON)


def test_no_connection_outlives_its_broker() -> None:
    connections = Connections()
    connections.opened("c1", "n1")
    connections.forgotten()
    assert connections.closed("c1") is None

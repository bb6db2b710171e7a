"""Alerts as a component hears them: each transition once, and none lost while nobody reads."""

from itertools import islice
from pathlib import Path

import pytest
from msgspec.structs import replace

from nm_bus.client import Client, Contact, Quiet
from nm_bus.client.alert_memory import AlertFile
from nm_bus.client.alerts import AlertFeed
from nm_bus.errors import ConfigError
from nm_bus.messages import Alert, AlertState, Query, Severity
from nm_bus.testing.supernodes import FakeSupernodes
from nm_bus.topology import ALERTS

from .conftest import NODES

NODE = "n1.example.org"


def alert(number: int) -> Alert:
    return Alert(
        alert="down.n1",
        number=number,
        kind="down",
        subject=NODE,
        severity=Severity.CRITICAL,
        state=AlertState.RAISED,
        raised=1.0,
        changed=1.0,
        summary="n1 is down",
        origin=NODE,
    )


def listening(alerts: AlertFeed) -> None:
    """Ask until all supernodes are followed."""
    heard = (item for item in alerts if isinstance(item, Contact))
    assert {item.supernode for item in islice(heard, len(NODES))} == set(NODES)


def given(alerts: AlertFeed, count: int) -> list[int]:
    """The numbers of the next so many."""
    found = (item for item in alerts if isinstance(item, Alert))
    return [int(item.transition.rpartition("/")[2]) for item in islice(found, count)]


def test_each_transition_is_given_once_whatever_queues_it_comes_through(
    client: Client, supernodes: FakeSupernodes
) -> None:
    with client.alerts() as alerts:
        listening(alerts)
        for number in (1, 1, 2):
            supernodes.alert(alert(number))
        assert given(alerts, 2) == [1, 2]
        assert isinstance(next(alerts), Quiet)


def test_an_alert_stays_in_its_queue_until_the_next_one_is_asked_for(
    client: Client, supernodes: FakeSupernodes
) -> None:
    with client.alerts() as alerts:
        listening(alerts)
        supernodes.alert(alert(1))
        assert given(alerts, 1) == [1]
    with client.alerts() as again:
        assert given(again, 1) == [1], "who ended before it was done with is given it again"
        again.taken()
        assert isinstance(list(islice(again, 6))[-1], Quiet)
    with client.alerts() as third:
        assert not [item for item in islice(third, 5) if isinstance(item, Alert)]


def test_alerts_that_came_while_nobody_read_are_given_later(
    client: Client, supernodes: FakeSupernodes
) -> None:
    with client.alerts("phone") as alerts:
        listening(alerts)
    supernodes.alert(alert(1))
    with client.alerts("phone") as alerts:
        assert given(alerts, 1) == [1]


def test_what_was_given_is_remembered_over_a_restart(
    client: Client, supernodes: FakeSupernodes, tmp_path: Path
) -> None:
    file = tmp_path / "state" / "alerts.seen"
    with client.alerts(remembered=file) as alerts:
        listening(alerts)
        supernodes.alert(alert(1))
        assert given(alerts, 1) == [1]
        alerts.taken()
    supernodes.alert(alert(1))
    supernodes.alert(alert(2))
    with client.alerts(remembered=file) as alerts:
        assert given(alerts, 1) == [2]
        with pytest.raises(ConfigError, match="another `alerts watch` of yours"):
            AlertFile(file).__enter__()


def test_one_that_cannot_be_read_is_said_and_taken_out_of_the_way(
    supernodes: FakeSupernodes, client: Client
) -> None:
    said: list[str] = []
    with client.beside() as other, other.alerts() as alerts:
        alerts._said = said.append
        listening(alerts)
        supernodes[0].queues["alerts.admin.example"].put("k", b"{")
        supernodes.alert(alert(1))
        assert given(alerts, 1) == [1]
    assert said == [said[0]]
    assert said[0].startswith(f"an unreadable alert from {NODES[0]}: ")
    assert not [
        body for _, body in supernodes[0].queues["alerts.admin.example"].waiting if body == b"{"
    ]


def test_another_message_is_no_alert(supernodes: FakeSupernodes, client: Client) -> None:
    with client.alerts() as alerts:
        listening(alerts)
        supernodes[0].publish(ALERTS, Query("status"), "q")
        assert isinstance(next(alerts), Quiet)


def test_the_active_ones_are_those_whose_condition_holds_the_most_severe_first(
    supernodes: FakeSupernodes, client: Client
) -> None:
    mild = replace(alert(1), alert="mild", severity=Severity.INFO, subject="n.llnl.gov")
    over = replace(alert(2), alert="over", state=AlertState.RESOLVED)
    supernodes.sight.alerts = (over, mild, alert(1))
    assert [a.alert for a in client.active_alerts()] == ["down.n1", "mild"]
    assert [a.alert for a in client.active_alerts("gov.llnl")] == ["mild"]

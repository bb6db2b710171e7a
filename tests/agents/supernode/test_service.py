"""A supernode at work: hints of its broker, alerts over a restart, and when ingest may start."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nm_agents.inhand import DEATHS, LOSSES, SLOW, InHand
from nm_agents.quarantine import TRIES, Quarantine
from nm_agents.supernode.broker.calls import BrokerCalls
from nm_agents.supernode.broker.connections import ConnectionsPart
from nm_agents.supernode.broker.watch import BrokerWatch
from nm_agents.supernode.broker.worker import Worker
from nm_agents.supernode.host import SupernodeHost
from nm_agents.supernode.ingest.part import AGAIN, IngestPart
from nm_agents.supernode.part import Part
from nm_bus.codec import quarantine
from nm_bus.core.alerts.conditions import Condition, ledger_peer_ignored
from nm_bus.errors import ConnectionLostError, NmBusError
from nm_bus.messages import Health, domain_key
from nm_bus.topology import EVENTS, HEARTBEAT
from nm_bus.transport.base import Delivery, Outcome, Outgoing

from .conftest import Process, Simulation

HERE, THERE = "sn1.example.org", "sn2.example.org"
NODE = "n1.example.org"

Make = Callable[..., Simulation]


@pytest.fixture
def simulation(make_simulation: Make) -> Simulation:
    simulation = make_simulation(HERE, THERE)
    simulation.connect()
    simulation.start()
    simulation.member(NODE, HERE)
    simulation.clock.advance(10.0)
    return simulation


def event(simulation: Simulation, what: str, *, at: str = HERE, name: str = "c1") -> None:
    """The broker tells of a connection; it names the user only when one is opened."""
    headers = {"name": name} | ({"user": NODE} if what == "created" else {})
    site = simulation.sites[at]
    teller = Process(site.broker, simulation.clock, user=at, random=lambda: 0.5)
    teller.start()
    simulation.clock.advance(0.01)
    teller.publish(Outgoing(EVENTS, f"connection.{what}", b"", headers=headers))
    simulation.clock.advance(0.01)


def test_a_lost_connection_makes_its_member_late_within_a_second(simulation: Simulation) -> None:
    event(simulation, "created")
    simulation.members[NODE].kill()
    event(simulation, "closed")
    simulation.clock.advance(1.0)
    for site in simulation.sites.values():
        assert (site.health(NODE), site.reason(NODE)) == (Health.LATE, "connection lost")


def test_a_member_that_holds_another_connection_is_not_late(simulation: Simulation) -> None:
    event(simulation, "created", name="c1")
    event(simulation, "created", name="c2")
    event(simulation, "closed", name="c1")
    simulation.clock.advance(1.0)
    assert simulation.sites[HERE].health(NODE) is Health.ALIVE


def test_a_connection_elsewhere_says_nothing_of_a_member_at_home(simulation: Simulation) -> None:
    event(simulation, "created", at=THERE)
    event(simulation, "closed", at=THERE)
    simulation.clock.advance(1.0)
    for site in simulation.sites.values():
        assert site.health(NODE) is Health.ALIVE


def test_an_alert_is_raised_once_though_its_supernode_dies_meanwhile(
    simulation: Simulation,
) -> None:
    member, site = simulation.members[NODE], simulation.sites[HERE]
    member.kill()
    simulation.clock.advance(30.0)
    for pause in (0.5, 5.0, 40.0):
        site.kill()
        simulation.clock.advance(pause)
        site.start()
        simulation.clock.advance(30.0)
    simulation.member(NODE, HERE).boot = "next"
    simulation.clock.advance(10.0)
    for at in (HERE, THERE):
        said = [each.rpartition("/")[2] for each in simulation.transitions(at, "member-down")]
        assert said == ["1", "2"]


def test_what_was_refused_in_an_earlier_life_is_no_news(simulation: Simulation) -> None:
    site, member = simulation.sites[HERE], simulation.members[NODE]
    key = domain_key(NODE)
    member.transport.publish(Outgoing(HEARTBEAT, key, b"nonsense"))
    simulation.clock.advance(120.0)
    assert len(simulation.transitions(HERE, "quarantine-growing")) == 2
    site.kill()
    simulation.clock.advance(1.0)
    site.start()
    simulation.clock.advance(60.0)
    assert len(simulation.transitions(HERE, "quarantine-growing")) == 2


def lose(of: Quarantine) -> None:
    """The broker takes no record of a refused message, however often it is tried."""
    record = quarantine(b"x", reason="invalid", detail="", who=NODE, exchange="", key="")
    for _ in range(TRIES):
        of._done(Outcome.REFUSED, record, lambda _kept: None)


def test_a_refused_message_that_is_lost_is_counted_and_an_alert(simulation: Simulation) -> None:
    site = simulation.sites[HERE]
    lose(site.quarantine)
    lose(site.ingests[0].quarantine)
    simulation.clock.advance(10.0)
    (raised,) = simulation.transitions(HERE, "quarantine-growing")
    assert raised.endswith("/1")
    for at in simulation.sites.values():
        state = at.view.supernodes[HERE].state
        assert state is not None
        assert state.broker.dropped == 2


def fragile(monkeypatch: pytest.MonkeyPatch, fails: Callable[[], None]) -> None:
    """One event of the broker does this to the supernode that reads it."""
    take = ConnectionsPart.take

    def taken(self: ConnectionsPart, delivery: Delivery) -> None:
        if (delivery.headers or {}).get("name") == "deadly":
            fails()
        take(self, delivery)

    monkeypatch.setattr(ConnectionsPart, "take", taken)


def test_what_ends_it_twice_is_put_aside(
    make_simulation: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise RuntimeError("a fault of ours")

    fragile(monkeypatch, die)
    simulation = make_simulation(HERE)
    site = simulation.sites[HERE]
    event(simulation, "created", name="deadly")

    def live() -> None:
        with InHand(tmp_path / "marker") as site.in_hand:
            site.start()
            simulation.clock.advance(5.0)

    for _ in range(DEATHS):
        with pytest.raises(RuntimeError, match="ours"):
            live()
        site.kill()
    live()
    assert site.quarantine.count == 1


def test_what_takes_long_whenever_its_connection_is_lost_is_put_aside(
    make_simulation: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation, now = make_simulation(HERE), [0.0]
    site = simulation.sites[HERE]

    def slow() -> None:
        now[0] += 2 * SLOW
        site.broker.close_connections(HERE)

    fragile(monkeypatch, slow)
    event(simulation, "created", name="deadly")
    with InHand(tmp_path / "marker", clock=lambda: now[0]) as site.in_hand:
        site.start()
        simulation.clock.advance(60.0 * LOSSES)
        assert site.quarantine.count == 1
        site.kill()


@dataclass
class Api:
    """A management API that cannot be reached for the first few times."""

    failures: int
    deleted: list[str] = field(default_factory=list)

    def depths(self, _vhost: str) -> dict[str, int]:
        if self.failures:
            self.failures -= 1
            raise ConnectionLostError("the management API cannot be reached")
        names = ("heartbeat", "metrics", "thrown", "peer", "inbox")
        return {f"{name}.{n}": 0 for name in names for n in range(3)}

    def delete_queue(self, _vhost: str, name: str) -> None:
        self.deleted.append(name)


class AtOnce(Worker):
    """Makes its calls at once."""

    def call(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        try:
            result = job()
        except NmBusError as error:
            result = error
        done(result)


def calls_of(host: SupernodeHost, api: Api) -> BrokerCalls:
    watch = BrokerWatch(api, host.settings)  # type: ignore[arg-type]
    return BrokerCalls(AtOnce(host.transport), watch)


def test_ingest_waits_until_queues_that_nobody_reads_are_gone(simulation: Simulation) -> None:
    host, api = simulation.sites[HERE].service, Api(failures=2)
    ingest = host.part(IngestPart)
    ingest.calls, ingest.is_served = calls_of(host, api), False
    ingest.retire()
    simulation.clock.advance(1.5 * AGAIN)
    assert not ingest.is_served
    simulation.clock.advance(AGAIN)
    assert ingest.is_served
    gone = {f"{name}.{n}" for name in ("heartbeat", "metrics", "thrown") for n in (1, 2)}
    assert set(api.deleted) == gone


def test_an_error_of_our_own_in_a_call_to_the_broker_is_not_taken_for_the_broker_s(
    simulation: Simulation,
) -> None:
    calls, refused = calls_of(simulation.sites[HERE].service, Api(failures=0)), list[NmBusError]()
    with pytest.raises(AttributeError, match="no_such_method"):
        calls.call(lambda watch: watch.no_such_method(), print, refused.append)  # type: ignore[attr-defined]
    assert refused == []


def test_what_the_ledger_does_not_know_yet_after_a_start_is_not_over(make_simulation: Make) -> None:
    """Which peer is ignored is only known once it spoke."""
    simulation = make_simulation(HERE, THERE)
    simulation.connect()
    site = simulation.sites[HERE]

    @dataclass
    class Ignores(Part):
        since: float

        def conditions(self, now: float) -> list[Condition]:
            known = now - self.since >= 1.0
            return [ledger_peer_ignored(HERE, THERE, "another beginning")] if known else []

    for pause in (60.0, 1.0):
        site.start()
        site.alerts.parts.append(Ignores(simulation.clock.now()))
        simulation.clock.advance(60.0)
        site.kill()
        simulation.clock.advance(pause)
    assert len(simulation.transitions(HERE, "ledger-peer-ignored")) == 1

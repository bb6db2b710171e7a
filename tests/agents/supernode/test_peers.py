"""Who speaks on a link: the peer whose exchange it is, brought by its link's user, for itself."""

from collections.abc import Callable

import pytest
from msgspec import structs

from nm_agents.supernode.view.part import LoopbackPart
from nm_bus.codec import Reason, decode, encode
from nm_bus.grants import grant, link_user
from nm_bus.identity.role import Role
from nm_bus.messages import (
    Alert,
    AlertState,
    Canary,
    Event,
    Health,
    Heartbeat,
    MemberState,
    Message,
    PipeState,
    Quarantined,
    Severity,
    Statement,
)
from nm_bus.topology import DEAD, REPORTS, peer_exchange
from nm_bus.transport.base import Outgoing

from .conftest import Process, Simulation

HERE, THERE, THIRD = "sn1.example.org", "sn2.example.org", "sn3.example.org"
NODE = "n1.example.org"
PIPE = PipeState("heartbeat.0", proven=True)

Make = Callable[..., Simulation]


@pytest.fixture
def simulation(make_simulation: Make) -> Simulation:
    """One supernode at work; its peers are played by the test."""
    simulation = make_simulation(HERE, THERE, THIRD)
    simulation.sites[HERE].start()
    simulation.clock.advance(1.0)
    return simulation


def stated(origin: str, sequence: int = 1) -> Statement:
    alive = MemberState(NODE, Health.ALIVE, heard=1.0)
    return Statement(origin, 0, "life", sequence, PIPE, (alive,), roster=(NODE,))


def alert(origin: str) -> Alert:
    severity, name = Severity.CRITICAL, f"member-down:{NODE}:{origin}:1"
    state = AlertState.RAISED
    return Alert(name, 1, state, severity, "member-down", NODE, "down", 1.0, 1.0, origin)


def say(
    simulation: Simulation, message: Message, *, peer: str = THERE, user: str = "", source: str = ""
) -> None:
    """Say something on a peer's exchange, as its link does unless told otherwise."""
    site = simulation.sites[HERE]
    sender = Process(
        site.broker, simulation.clock, user=user or link_user(peer), random=lambda: 0.5
    )
    sender.start()
    simulation.clock.advance(0.01)
    name = message.transition if isinstance(message, Alert) else "m"
    body = encode(message, source=source or peer, id=name, time=simulation.clock.now())
    sender.publish(Outgoing(peer_exchange(peer), "control.x", body))
    simulation.clock.advance(0.5)
    sender.stop()


def put_aside(simulation: Simulation) -> list[str]:
    """The reasons of what is in quarantine."""
    queue = simulation.sites[HERE].broker.queues[DEAD]
    events = [decode(stored.message.body) for stored in queue._ready]
    return [
        e.data.reason for e in events if isinstance(e, Event) and isinstance(e.data, Quarantined)
    ]


def test_what_a_peer_says_of_its_members_is_held_to_be_true(simulation: Simulation) -> None:
    say(simulation, stated(THERE))
    assert simulation.sites[HERE].health(NODE) is Health.ALIVE
    assert put_aside(simulation) == []


@pytest.mark.parametrize(
    ("message", "more"),
    [
        (stated(THIRD), {}),
        (stated(THIRD), {"source": THIRD}),
        (stated(THERE), {"source": THIRD}),
        (alert(THIRD), {}),
        (stated(THERE), {"user": HERE}),
    ],
    ids=["origin", "both", "source", "alert", "user"],
)
def test_nobody_speaks_for_another(
    simulation: Simulation, message: Message, more: dict[str, str]
) -> None:
    say(simulation, message, **more)
    assert put_aside(simulation) == [Reason.NOT_SENDER]
    assert simulation.sites[HERE].health(NODE) is None
    assert simulation.transitions(HERE, "member-down") == []


def test_what_does_not_belong_on_a_link_is_put_aside(simulation: Simulation) -> None:
    say(simulation, Heartbeat("i", 1, 5.0, 1.0, "x"))
    assert put_aside(simulation) == [Reason.WRONG_STREAM]


def test_an_alert_of_a_peer_is_shown_once_however_often_it_comes(simulation: Simulation) -> None:
    for _ in range(3):
        say(simulation, alert(THERE))
    assert len(simulation.heard[HERE]) == 1
    assert [each.subject for each in simulation.sites[HERE].active()] == [NODE]


def test_only_its_own_processes_report_to_a_supernode(simulation: Simulation) -> None:
    broker = simulation.sites[HERE].broker
    broker.admit(grant(Role.SUPERNODE, "root.example.org"))
    other = Process(broker, simulation.clock, user="root.example.org", random=lambda: 0.5)
    other.start()
    simulation.clock.advance(0.1)
    body = encode(stated(HERE), source=HERE, id="m", time=simulation.clock.now())
    other.publish(Outgoing("", REPORTS, body))
    simulation.clock.advance(0.5)
    assert put_aside(simulation) == [Reason.NOT_SENDER]
    assert simulation.sites[HERE].health(NODE) is None


def test_a_canary_of_an_earlier_life_proves_nothing(simulation: Simulation) -> None:
    loopback = simulation.sites[HERE].service.part(LoopbackPart)
    frontier = loopback.pipe.frontier
    assert frontier is not None
    old = Canary(REPORTS, "earlier", 1, simulation.clock.now() + 5.0)
    body = encode(old, source=HERE, id="m", time=simulation.clock.now())
    loopback.transport.publish(Outgoing("", REPORTS, body))
    simulation.clock.advance(1.0)
    assert loopback.pipe.frontier is not None
    assert loopback.pipe.frontier <= simulation.clock.now()
    assert put_aside(simulation) == []


def test_quarantine_that_grows_is_told_and_is_over_after_a_minute(simulation: Simulation) -> None:
    say(simulation, Heartbeat("i", 1, 5.0, 1.0, "x"))
    simulation.clock.advance(2.0)
    (raised,) = simulation.transitions(HERE, "quarantine-growing")
    simulation.clock.advance(50.0)
    assert simulation.transitions(HERE, "quarantine-growing") == [raised]
    simulation.clock.advance(15.0)
    assert len(simulation.transitions(HERE, "quarantine-growing")) == 2


def test_an_alert_of_a_peer_is_active_after_a_restart_until_it_is_resolved(
    simulation: Simulation,
) -> None:
    site, raised = simulation.sites[HERE], alert(THERE)
    say(simulation, raised)
    site.kill()
    site.start()
    assert [each.alert for each in site.active()] == [raised.alert]
    over = structs.replace(raised, state=AlertState.RESOLVED, number=2, changed=2.0)
    say(simulation, over)
    site.kill()
    site.start()
    assert site.active() == []

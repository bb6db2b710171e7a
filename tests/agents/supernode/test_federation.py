"""Three supernodes over links that delay, lose, repeat and reorder: all come to the same view."""

from collections.abc import Callable

import pytest
from msgspec import structs

from nm_agents.supernode.view.part import KIND
from nm_bus.core.alerts.conditions import Condition
from nm_bus.core.alerts.kinds import LEDGER_STOPPED
from nm_bus.core.alerts.life import raised
from nm_bus.messages import AlertState, Health, NodeId
from nm_bus.testing.links import Trouble

from .conftest import Simulation

SN = ("sn1.example.org", "sn2.example.org", "sn3.example.org")
MEMBERS = tuple(f"n{n}.example.org" for n in range(9))
TROUBLE = Condition(LEDGER_STOPPED, SN[2], "it is ill")
BAD = Trouble(delay=0.2, jitter=0.8, loss=0.1, duplicates=0.2, reordering=0.3)

Make = Callable[..., Simulation]


def federation(make: Make, seed: int, trouble: Trouble | None = None) -> Simulation:
    simulation = make(*SN, seed=seed)
    simulation.connect(trouble)
    simulation.start()
    for n, node in enumerate(MEMBERS):
        simulation.member(node, SN[n % 3])
    return simulation


def views(simulation: Simulation) -> dict[NodeId, dict[NodeId, Health | None]]:
    sites = simulation.sites.values()
    return {site.node: {node: site.health(node) for node in MEMBERS} for site in sites}


def advance(simulation: Simulation, seconds: float, dead: frozenset[NodeId] = frozenset()) -> None:
    """Let time pass; at no moment may anybody who lives be called down by anybody."""
    for _ in range(int(seconds * 2)):
        simulation.clock.advance(0.5)
        for at, view in views(simulation).items():
            called = {node for node, health in view.items() if health is Health.DOWN}
            assert called <= dead, f"{at} calls {called - dead} down"


def agree(simulation: Simulation, expected: dict[NodeId, Health]) -> None:
    for at, view in views(simulation).items():
        assert view == expected, at


@pytest.mark.parametrize("seed", range(6))
def test_all_views_become_the_same_whatever_the_links_did(make_simulation: Make, seed: int) -> None:
    simulation = federation(make_simulation, seed, BAD)
    chance = simulation.random
    advance(simulation, 20.0)
    dead = frozenset(chance.sample(MEMBERS, 2))
    for node in dead:
        simulation.members[node].kill()
    for _ in range(4):
        hurt = simulation.sites[chance.choice(SN)]
        hurt.kill()
        advance(simulation, chance.uniform(1.0, 20.0), dead)
        hurt.start()
        advance(simulation, 10.0, dead)
        link = chance.choice(simulation.links)
        link.cut()
        advance(simulation, chance.uniform(1.0, 15.0), dead)
        link.open()
    for link in simulation.links:
        link.trouble = Trouble(delay=0.05)
    advance(simulation, 70.0, dead)
    truth = {node: Health.DOWN if node in dead else Health.ALIVE for node in MEMBERS}
    agree(simulation, truth)
    assert {a.subject for site in simulation.sites.values() for a in site.active()} == dead
    for at in SN:
        heard = [alert for alert in simulation.heard[at] if alert.kind == "member-down"]
        assert {alert.subject for alert in heard} == dead
        assert {alert.state for alert in heard} == {AlertState.RAISED}
        assert len({alert.alert for alert in heard}) == len(dead), "one id for each condition"


def test_a_stopped_broker_makes_its_members_unknown_with_the_reason(make_simulation: Make) -> None:
    simulation = federation(make_simulation, 1)
    advance(simulation, 20.0)
    broker = simulation.sites[SN[0]].broker
    broker.pause()
    advance(simulation, 20.0)
    for at in SN[1:]:
        site = simulation.sites[at]
        assert site.health(MEMBERS[0]) is Health.UNKNOWN
        assert site.reason(MEMBERS[0]) == f"no word from supernode {SN[0]} for over 8 s"
        assert site.health(MEMBERS[1]) is Health.ALIVE
    broker.resume()
    advance(simulation, 60.0)
    agree(simulation, dict.fromkeys(MEMBERS, Health.ALIVE))
    for at in SN:
        assert simulation.transitions(at, "member-down") == []
        silent = simulation.transitions(at, "supernode-silent")
        assert [each.rpartition("/")[2] for each in silent] == ["1", "2"]


def test_a_blocked_broker_is_doubt_with_its_reason_and_never_down(make_simulation: Make) -> None:
    simulation = federation(make_simulation, 2)
    advance(simulation, 20.0)
    site = simulation.sites[SN[0]]
    site.broker.block("memory alarm")
    advance(simulation, 30.0)
    pipe = site.ingests[0].heartbeats
    assert pipe.doubt(simulation.clock.now()) == "blocked: memory alarm"
    site.broker.unblock()
    advance(simulation, 60.0)
    agree(simulation, dict.fromkeys(MEMBERS, Health.ALIVE))
    troubled = simulation.transitions(SN[1], "broker-trouble")
    assert [each.rpartition("/")[2] for each in troubled] == ["1", "2"]


def test_a_member_that_moves_is_shown_by_its_new_home(make_simulation: Make) -> None:
    simulation = federation(make_simulation, 3)
    advance(simulation, 20.0)
    simulation.members[MEMBERS[0]].kill()
    moved = simulation.member(MEMBERS[0], SN[1])
    moved.boot = "another"
    advance(simulation, 60.0)
    agree(simulation, dict.fromkeys(MEMBERS, Health.ALIVE))
    for site in simulation.sites.values():
        assert site.view.home(MEMBERS[0]) == SN[1]


def test_a_supernode_that_is_removed_leaves_no_member_and_no_alert_behind(
    make_simulation: Make,
) -> None:
    simulation = federation(make_simulation, seed=1)
    simulation.clock.advance(20.0)
    gone = simulation.sites[SN[2]]
    gone.alerts.raised([raised(TROUBLE, SN[2], simulation.clock.now())])
    simulation.clock.advance(5.0)
    gone.kill()
    simulation.clock.advance(30.0)
    rest = [simulation.sites[node] for node in SN[:2]]
    assert all({a.subject for a in site.active()} == {SN[2]} for site in rest)
    for site in rest:
        site.kill()
        peers = tuple(peer for peer in site.settings.peers if peer.node != gone.node)
        site.settings = structs.replace(site.settings, peers=peers)
        site.start()
    simulation.clock.advance(60.0)
    for site in rest:
        assert site.active() == []
        assert set(site.view.supernodes) == set(SN[:2])
        homes = {member.home for member in site.view.members(simulation.clock.now())}
        assert homes == set(SN[:2])
        assert {key.rpartition("/")[0] for key, _ in site.store.load(KIND)} <= set(SN[:2])
    ended = simulation.transitions(SN[1], TROUBLE.kind.name)
    assert [each.rpartition("/")[2] for each in ended] == ["1", "2"]


def test_a_supernode_that_starts_again_leaves_other_homes_alerts_alone(
    make_simulation: Make,
) -> None:
    """What it kept of a member may be older than the alert."""
    simulation = make_simulation(*SN)
    simulation.connect()
    simulation.start()
    node, (first, second) = "n1.example.org", (simulation.sites[each] for each in SN[:2])
    member = simulation.member(node, SN[1], interval=1.0)
    simulation.clock.advance(50.0)
    member.beat(leaving=True)
    simulation.clock.advance(0.2)
    member.kill()
    simulation.clock.run(lambda: first.health(node) is Health.LEFT, 60.0)
    simulation.clock.advance(40.0)
    again = simulation.member(node, SN[1], interval=1.0)
    again.boot = "next"
    simulation.clock.advance(3.2)
    again.kill()
    simulation.clock.advance(8.0)
    assert first.health(node) is Health.DOWN
    first.kill()
    simulation.clock.advance(1.0)
    first.start()
    simulation.clock.advance(20.0)
    assert second.health(node) is Health.DOWN
    assert len(simulation.transitions(SN[0], "member-down")) == 1

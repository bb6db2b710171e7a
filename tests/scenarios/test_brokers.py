"""A broker of the federation is paused, killed, alarmed: nobody is called down, nothing is lost."""

import time

import pytest

from nm_bus.messages import AlertState, Health, NodeId

from .conftest import HURT, SN1, SN2, SN3, World
from .until import until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

RAISED, RESOLVED = AlertState.RAISED, AlertState.RESOLVED
PAUSED = 20.0


def unknown_elsewhere(world: World) -> bool:
    """Whether the other supernodes hold the hurt one's members for unknown, and say why."""
    states = [world.watches[at].state(node) for at in (SN2, SN3) for node in HURT]
    return all(
        state is not None
        and state.health is Health.UNKNOWN
        and state.reason.startswith(f"no word from supernode {SN1}")
        for state in states
    )


def links_of_the_hurt(world: World) -> set[str]:
    overview = world.watches[SN2].now()
    links = overview.links if overview else ()
    return {link.state for link in links if link.source == SN1} or {"running"}


def test_a_paused_broker_leaves_its_members_unknown_and_nobody_down(world: World) -> None:
    broker = world.federation.running[SN1]
    ends = time.monotonic() + PAUSED
    broker.pause()
    try:
        until(lambda: unknown_elsewhere(world), "members unknown with the reason")
        until(lambda: "running" not in links_of_the_hurt(world), "links are not said to run")
        until(lambda: world.life("supernode-silent", SN1) == [RAISED], "the silence is told")
        time.sleep(max(0.0, ends - time.monotonic()))
    finally:
        broker.resume()
    until(world.is_calm, "calm again")
    until(lambda: world.life("supernode-silent", SN1) == [RAISED, RESOLVED], "resolved")
    assert world.nobody_was_down()
    assert world.alerts("member-down") == []


def test_a_killed_broker_comes_back_with_every_alert_once_and_every_metric(world: World) -> None:
    federation = world.federation
    federation.running[SN1].kill()
    until(lambda: unknown_elsewhere(world), "members unknown with the reason")
    until(lambda: world.life("supernode-silent", SN1) == [RAISED], "the silence is told")
    federation.start_broker(SN1)
    until(world.is_calm, "calm again")
    until(lambda: world.life("supernode-silent", SN1) == [RAISED, RESOLVED], "resolved")
    until(lambda: world.life("broker-trouble", SN1) == [RAISED, RESOLVED], "broker's alert")
    assert world.nobody_was_down()
    assert world.alerts("member-down") == []
    counted_all(world)


def counted_all(world: World) -> None:
    """All that the members have measured so far is counted, once."""
    measured = {node: world.measured(node) for node in HURT}
    until(lambda: all(sampled(world, node) >= n for node, n in measured.items()), "all counted")
    assert {node: lost(world, node) for node in HURT} == dict.fromkeys(HURT, 0)


def sampled(world: World, node: NodeId) -> int:
    state = world.watches[SN1].state(node)
    return state.sampled if state and not state.unsampled else 0


def lost(world: World, node: NodeId) -> int | None:
    state = world.watches[SN1].state(node)
    return state.unsampled if state else None


def test_a_broker_in_alarm_is_named_so_and_nobody_is_down(world: World) -> None:
    with world.federation.running[SN1].memory_alarm():
        until(lambda: unknown_elsewhere(world), "members unknown with the reason")
        log = world.federation.plan.folder / "log" / f"supernode.{SN1}.log"
        until(lambda: "broker: blocked (low on memory)" in log.read_text(), "the state is named")
        until(lambda: world.life("supernode-silent", SN1) == [RAISED], "the silence is told")
    until(world.is_calm, "calm again")
    until(lambda: world.life("broker-trouble", SN1) == [RAISED, RESOLVED], "broker's alert")
    assert "blocked" in world.alerts("broker-trouble", SN1)[0].summary
    until(lambda: world.life("supernode-silent", SN1) == [RAISED, RESOLVED], "resolved")
    assert world.nobody_was_down()
    assert world.alerts("member-down") == []

"""A process of the federation is killed: what is left says so, and what comes back goes on."""

import signal
import time

import psutil
import pytest

from nm_bus.messages import AlertState, Health

from .conftest import HURT, INTERVAL, SN1, SN2, SN3, World
from .until import until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

RAISED, RESOLVED = AlertState.RAISED, AlertState.RESOLVED
SLACK = 5.0
"""How much later than at once a process of a busy machine may get its turn."""


def ingests(world: World) -> list[psutil.Process]:
    return psutil.Process(world.federation.supernode(SN1).pid).children()


def test_a_killed_member_is_late_at_once_and_down_after_three_intervals(world: World) -> None:
    victim = HURT[0]
    world.federation.member(victim).kill()
    world.federation.member(victim).wait()
    killed = time.time()
    until(lambda: world.life("member-down", victim) == [RAISED], "the alert")
    until(lambda: all(world.health(at, victim) is Health.DOWN for at in (SN1, SN2, SN3)), "down")

    late = [s for s in world.watches[SN1].states(victim, killed) if s.health is Health.LATE]
    assert late
    assert late[0].reason == "connection lost"
    seen = next(
        asked
        for asked, overview in world.watches[SN1].seen
        for member in overview.members
        if asked >= killed and member.state.node == victim and member.state.health is Health.LATE
    )
    assert seen - late[0].changed - killed < 1.0 + SLACK

    (alert,) = world.alerts("member-down", victim)
    last_heard = world.watches[SN1].last_heard(victim)
    assert last_heard is not None
    # to the word of the process that heard it, its way to the supernode is added
    assert 3 * INTERVAL - SLACK <= alert.raised - last_heard <= 3 * INTERVAL + 1.0 + SLACK

    world.federation.start_member(victim)
    until(lambda: world.life("member-down", victim) == [RAISED, RESOLVED], "back")
    until(world.is_calm, "calm again")
    assert len({alert.alert for alert in world.alerts("member-down")}) == 1


def test_a_killed_ingest_process_is_replaced_and_nobody_is_down(world: World) -> None:
    before = {child.pid for child in ingests(world)}
    assert len(before) == 2
    victim = ingests(world)[0]
    victim.send_signal(signal.SIGKILL)
    until(lambda: len({c.pid for c in ingests(world)} - before) == 1, "a new process")
    until(world.is_calm, "calm again")
    assert {child.pid for child in ingests(world)} >= before - {victim.pid}
    assert world.nobody_was_down()
    assert world.alerts("member-down") == []


def test_a_killed_supernode_leaves_no_process_and_goes_on_with_its_alerts(world: World) -> None:
    flag = world.federation.plan.folder / f"{HURT[1]}.critical"
    flag.touch()
    until(lambda: world.life("check-critical", HURT[1]) == [RAISED], "the alert")
    children = ingests(world)
    world.federation.supernode(SN1).kill()
    world.federation.supernode(SN1).wait()
    until(lambda: not any(child.is_running() for child in children), "no process is left", 30.0)

    world.federation.start_supernode(SN1)
    started = time.time()
    until(
        lambda: any(
            # heard since the start; on a fast machine it was never late, and nothing has changed
            state.health is Health.ALIVE and (state.heard or 0.0) < time.time() - started
            for state in world.watches[SN1].states(HURT[1], started)[-1:]
        ),
        "its member is heard",
    )
    until(lambda: world.health(SN2, HURT[1]) is Health.ALIVE, "and told")
    flag.unlink()
    until(lambda: world.life("check-critical", HURT[1]) == [RAISED, RESOLVED], "resolved")
    until(world.is_calm, "calm again")
    assert len({alert.alert for alert in world.alerts("check-critical")}) == 1
    assert world.nobody_was_down()
    assert world.alerts("member-down") == []


def test_another_number_of_ingest_processes_calls_nobody_down(
    world: World,
) -> None:
    file = world.federation.plan.folder / f"{SN1}.toml"
    for before, number in ((2, 1), (1, 2)):
        said = file.read_text()
        assert f"partitions = {before}" in said
        world.federation.supernode(SN1).terminate()
        assert world.federation.supernode(SN1).wait(30.0) == 0
        file.write_text(said.replace(f"partitions = {before}", f"partitions = {number}"))
        world.federation.start_supernode(SN1)
        until(lambda n=number: len(ingests(world)) == n, f"{number} processes")  # type: ignore[misc]
        started = time.time()
        until(lambda t=started: all(world.heard_since(t, node) for node in HURT), "heard")  # type: ignore[misc]
        until(world.is_calm, "calm again")
    assert world.nobody_was_down()
    assert world.alerts("member-down") == []

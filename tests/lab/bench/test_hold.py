"""What a supernode that holds many members is judged by, and that it runs from end to end."""

import json
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_broker.program import Program
from nm_bus.grants import Grant
from nm_bus.messages import Alert, AlertState, Health, MemberState, Severity
from nm_bus.testing.clock import VirtualClock
from nm_bus.topology import HEARTBEAT, METRICS, Binding, Exchange, Queue, Topology
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker
from nm_lab.bench.hold import HoldFigures, HoldSamples, ProcessUsage
from nm_lab.bench.simulate import PublishedCount, Simulation
from nm_lab.bench.tables import held_json
from nm_lab.bench.traffic import members

LIMIT = 3.0
LEAN = ProcessUsage(34_000_000, 0.001)


def seen(*states: MemberState) -> HoldSamples:
    made = HoldSamples()
    made.take(list(states))
    return made


def state(node: str, health: Health = Health.ALIVE, skew: float = -0.01) -> MemberState:
    return MemberState(node, health, sequence=1, skew=skew)


def held(
    looked: HoldSamples, alerts: tuple[Alert, ...] = (), agent: ProcessUsage = LEAN
) -> HoldFigures:
    used = {"member agent": agent}
    return HoldFigures(2, 60.0, looked, list(alerts), used, PublishedCount(10, 0), LIMIT)


def missed(outcome: HoldFigures) -> list[str]:
    return [figure.name for figure in outcome.measured() if not figure.reached]


def test_members_that_stay_alive_miss_no_aim() -> None:
    assert missed(held(seen(state("a"), state("b")))) == []


def test_a_member_that_was_down_at_one_look_is_counted_though_it_came_back() -> None:
    looked = seen(state("a"), state("b", Health.DOWN))
    looked.take([state("a"), state("b")])
    assert missed(held(looked)) == ["members called down"]


def test_a_member_that_only_an_alert_told_of_is_counted() -> None:
    alert = Alert(
        "1", 1, AlertState.RAISED, Severity.CRITICAL, "member-down", "a", "", 0.0, 0.0, "sn"
    )
    assert "members called down" in missed(held(seen(state("a"), state("b")), (alert,)))


def test_heartbeats_that_take_longer_than_the_pipe_is_trusted_miss_the_aim() -> None:
    assert missed(held(seen(state("a", skew=-4.0), state("b", skew=-4.0)))) == [
        "delay of a heartbeat, p99"
    ]


def test_an_agent_that_is_too_large_or_too_busy_misses_its_aims() -> None:
    outcome = held(seen(state("a"), state("b")), agent=ProcessUsage(41_000_000, 0.006))
    assert missed(outcome) == ["member agent, memory", "member agent, processor"]


def test_simulated_members_speak_each_at_its_own_moment() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock)
    broker.admit(Grant("crowd.bench.example", ".*", ".*", ".*", tags=("impersonator",)))
    transport = MemoryTransport(broker, clock, user="crowd.bench.example", random=lambda: 0.5)
    names = (HEARTBEAT, METRICS)
    transport.declare(
        Topology(
            tuple(Exchange(name) for name in names),
            tuple(Queue(name) for name in names),
            tuple(Binding(name, name) for name in names),
        )
    )
    simulation = Simulation(transport, members(10))
    transport.on_status(simulation.status)
    transport.start()
    clock.advance(2.6)
    assert 4 <= simulation.published.confirmed <= 7
    clock.advance(57.4)
    assert simulation.published.lost == 0
    assert 130 <= simulation.published.confirmed <= 142


@pytest.mark.broker
@pytest.mark.long
def test_a_supernode_holds_a_crowd_and_nothing_stays(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shown = CliRunner().invoke(
        app, ["bench", "hold", "--members", "100", "--minutes", "1", "--json"]
    )
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert told["lost"] == 0
    assert told["figures"][0]["reached"], "all members are alive at the end"
    assert not list(tmp_path.iterdir())


def test_programs_get_delays_and_footprints() -> None:
    told = held_json(held(seen(state("a"), state("b"))))
    assert told["delay"]["p99"] == 0.01
    assert told["used"]["member agent"]["resident"] == LEAN.memory

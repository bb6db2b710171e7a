"""What an agent says of itself, and when its heartbeats may go."""

import pytest

from nm_bus.core.agent import Agent, Pulse, sent_after, start_times
from nm_bus.core.nagios import PluginVerdict, failed
from nm_bus.messages import Check, CheckStatus

OK = PluginVerdict(CheckStatus.OK, "fine")
BAD = PluginVerdict(CheckStatus.CRITICAL, "broken")


@pytest.fixture
def agent() -> Agent:
    return Agent("n1.llnl.gov", "abc", 5.0, "nm-bus/0.1", started=100.0)


def test_heartbeats_count_from_one_and_tell_the_uptime(agent: Agent) -> None:
    first, second = agent.heartbeat(100.0), agent.heartbeat(105.0, spooled=3)
    assert (first.sequence, second.sequence) == (1, 2)
    assert (second.uptime, second.spooled, second.leaving) == (5.0, 3, False)


def test_metrics_have_a_sequence_of_their_own(agent: Agent) -> None:
    agent.heartbeat(100.0)
    assert agent.metrics({"host.load.1m": 1.0}).sequence == 1
    assert agent.metrics({"host.load.1m": 2.0}).sequence == 2
    assert agent.heartbeat(101.0).sequence == 2


def test_a_changed_status_is_news_and_the_same_one_is_not(agent: Agent) -> None:
    assert agent.checked("http", OK, 110.0)
    assert not agent.checked("http", OK, 120.0)
    assert agent.checked("http", BAD, 130.0)
    assert agent.heartbeat(131.0).checks == (Check("http", CheckStatus.CRITICAL, "broken", 130.0),)


def test_since_stays_while_the_output_changes(agent: Agent) -> None:
    agent.checked("http", failed("no answer"), 110.0)
    agent.checked("http", failed("still no answer"), 120.0)
    assert agent.checks["http"] == Check("http", CheckStatus.UNKNOWN, "still no answer", 110.0)


def test_the_age_of_metrics_is_computed_when_they_are_sent(agent: Agent) -> None:
    metrics = agent.metrics({"host.load.1m": 1.0})
    assert sent_after(metrics, measured=100.0, now=160.0).age == 60.0
    assert sent_after(metrics, measured=100.0, now=90.0).age == 0.0


def test_a_heartbeat_goes_when_due_and_the_way_is_free() -> None:
    pulse = Pulse(5.0)
    assert not pulse.may_go(up=True, now=0.0)
    pulse.due()
    assert not pulse.may_go(up=False, now=0.0)
    assert pulse.may_go(up=True, now=0.0)


def test_one_heartbeat_is_in_flight_and_the_next_is_owed_until_it_settles() -> None:
    pulse = Pulse(5.0)
    pulse.due()
    pulse.went(0.0)
    pulse.due()
    assert not pulse.may_go(up=True, now=1.0)
    pulse.settled(0.0)
    assert pulse.may_go(up=True, now=1.0)


def test_a_heartbeat_in_flight_for_an_interval_no_longer_holds_up_the_next() -> None:
    pulse = Pulse(5.0)
    pulse.due()
    pulse.went(0.0)
    pulse.due()
    assert pulse.may_go(up=True, now=5.0)
    pulse.went(5.0)
    pulse.settled(0.0)
    pulse.due()
    assert not pulse.may_go(up=True, now=6.0)


def test_many_dues_while_the_broker_is_away_are_one_heartbeat() -> None:
    pulse = Pulse(5.0)
    for _ in range(100):
        pulse.due()
    assert pulse.may_go(up=True, now=500.0)
    pulse.went(500.0)
    pulse.settled(500.0)
    assert not pulse.may_go(up=True, now=501.0)


def test_first_runs_are_spread_evenly_from_a_start_of_chance() -> None:
    assert start_times(4, 20.0, chance=0.0) == [0.0, 5.0, 10.0, 15.0]
    assert start_times(2, 20.0, chance=0.5) == [5.0, 15.0]
    assert start_times(0, 20.0, chance=0.5) == []

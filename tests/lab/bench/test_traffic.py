"""Simulated members say what real ones say, in the sizes that are promised."""

import pytest

from nm_bus.catalogue import find
from nm_bus.codec import Rejected, decode
from nm_bus.core.admission import admit
from nm_bus.messages import Heartbeat, Metrics
from nm_bus.transport.base import Outgoing
from nm_lab.bench.traffic import SimulatedMember, heartbeats, members, metrics

NOW = 1_800_000_000.0


@pytest.fixture
def member() -> SimulatedMember:
    return members(1)[0]


@pytest.mark.parametrize("say", [SimulatedMember.heartbeat, SimulatedMember.metrics])
def test_each_message_is_admitted_as_its_members_own(say: object, member: SimulatedMember) -> None:
    assert callable(say)
    message: Outgoing = say(member, NOW)
    event = decode(message.body)
    assert not isinstance(event, Rejected)
    assert admit(event, message.user_id, message.key, NOW, NOW) is None


def test_heartbeats_and_metrics_have_the_sizes_of_real_ones(member: SimulatedMember) -> None:
    assert 350 <= len(member.heartbeat(NOW).body) <= 600
    assert 500 <= len(member.metrics(NOW).body) <= 800


def test_a_metrics_message_holds_ten_series_of_the_catalogue(member: SimulatedMember) -> None:
    event = decode(member.metrics(NOW).body)
    assert not isinstance(event, Rejected)
    assert isinstance(event.data, Metrics)
    assert len(event.data.values) == 10
    assert all(find(series) for series in event.data.values)


def test_members_take_turns_and_count_what_they_say() -> None:
    said = [decode(m.body) for m in heartbeats(members(3), 7, NOW)]
    beats = [event.data for event in said if not isinstance(event, Rejected)]
    assert all(isinstance(beat, Heartbeat) for beat in beats)
    assert [b.sequence for b in beats if isinstance(b, Heartbeat)] == [1, 1, 1, 2, 2, 2, 3]


def test_metrics_of_one_crowd_name_their_member_to_the_broker() -> None:
    crowd = members(2)
    assert [m.user_id for m in metrics(crowd, 2, NOW)] == [each.node for each in crowd]

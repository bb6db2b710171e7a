"""The ingest process on a broker in memory: what it says, what it doubts, what it puts aside."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from nm_agents.ingest.service import IngestService
from nm_bus.codec import Reason, decode, encode
from nm_bus.messages import (
    Connection,
    Event,
    Health,
    Heartbeat,
    MemberState,
    Message,
    Quarantined,
    Rollups,
    Seconds,
    Statement,
    domain_key,
)
from nm_bus.testing.clock import VirtualClock
from nm_bus.topology import DEAD, HEARTBEAT, METRICS, REPORTS, Binding, Queue, Topology
from nm_bus.transport.base import Delivery, Outgoing
from nm_bus.transport.memory import MemoryTransport
from tests.agents.supernode.conftest import Process, Simulation, Site, Talker

HERE, NODE = "sn1.example.org", "n1.example.org"
COPY = "copy-of-reports"


@dataclass
class Ground:
    """One ingest process, without a supernode, and all that it said: (when, message)."""

    simulation: Simulation
    site: Site
    said: list[tuple[Seconds, Message]] = field(default_factory=list)
    dead: list[Quarantined] = field(default_factory=list)
    service: IngestService = field(init=False, repr=False)

    def __post_init__(self) -> None:
        copy = Topology(queues=(Queue(COPY),), bindings=(Binding(REPORTS, COPY),))
        self.site.broker.declare(copy)
        ear = MemoryTransport(self.site.broker, self.clock, user=HERE, random=lambda: 0.5)
        ear.consume(COPY, lambda delivery: self._heard(ear, delivery))
        ear.consume(DEAD, lambda delivery: self._heard(ear, delivery))
        ear.start()
        self.service = self.site.ingest(0)

    @property
    def clock(self) -> VirtualClock:
        return self.simulation.clock

    def _heard(self, ear: MemoryTransport, delivery: Delivery) -> None:
        ear.ack(delivery)
        event = decode(delivery.body)
        assert isinstance(event, Event), event
        if isinstance(event.data, Quarantined):
            self.dead.append(event.data)
        else:
            self.said.append((self.clock.now(), event.data))

    def statements(self) -> list[Statement]:
        return [message for _, message in self.said if isinstance(message, Statement)]

    def states(self, node: str = NODE) -> list[tuple[Seconds, MemberState]]:
        """All that was told of a member, with the time."""
        return [
            (when, state)
            for when, message in self.said
            if isinstance(message, Statement)
            for state in message.members
            if state.node == node
        ]

    def healths(self, node: str = NODE) -> list[Health]:
        return [state.health for _, state in self.states(node)]

    def publish(self, exchange: str, body: bytes, *, user: str = NODE, key: str = "") -> None:
        sender = Process(self.site.broker, self.clock, user=user, random=lambda: 0.5)
        sender.start()
        self.clock.advance(0.01)
        sender.publish(Outgoing(exchange, key or domain_key(user), body))
        self.clock.advance(0.5)
        sender.stop()

    def hint(self, *, connected: bool) -> None:
        hint = Connection(NODE, connected=connected, reason="" if connected else "connection lost")
        body = encode(hint, source=HERE, id="c", time=self.clock.now())
        self.publish(HEARTBEAT, body, user=HERE, key=domain_key(NODE))


@pytest.fixture
def ground() -> Iterator[Ground]:
    simulation = Simulation(VirtualClock(), Random(1))
    simulation.build((HERE,))
    yield Ground(simulation, simulation.sites[HERE])
    simulation.end()


@pytest.fixture
def member(ground: Ground) -> Talker:
    talker = ground.simulation.member(NODE, HERE)
    ground.clock.advance(10.0)
    return talker


def test_it_says_that_it_lives_and_everything_now_and_then(ground: Ground, member: Talker) -> None:
    ground.clock.advance(60.0)
    statements = ground.statements()
    first = statements[0].sequence
    assert [s.sequence for s in statements] == list(range(first, first + len(statements)))
    assert len(statements) >= 70 / 2
    rosters = [s.roster for s in statements if s.roster is not None]
    assert rosters[0] == ()
    assert rosters[1:] == [(NODE,)] * 2
    assert statements[-1].pipe.proven


def test_a_closed_minute_is_told_with_every_sample(ground: Ground, member: Talker) -> None:
    ground.clock.advance(180.0)
    rollups = [message for _, message in ground.said if isinstance(message, Rollups)]
    counts = [each.nodes[NODE]["host.load.1m"].count for each in rollups if NODE in each.nodes]
    assert sum(counts) >= 24
    assert sum(counts) <= member.samples


def test_a_change_is_told_at_once(ground: Ground, member: Talker) -> None:
    began = ground.clock.now()
    ground.hint(connected=False)
    when, state = ground.states()[-1]
    assert (state.health, state.reason) == (Health.LATE, "connection lost")
    assert when - began < 1.0


def test_a_lost_connection_that_is_back_is_nothing(ground: Ground, member: Talker) -> None:
    ground.hint(connected=False)
    ground.hint(connected=True)
    assert ground.healths()[-1] is Health.ALIVE


def test_a_silent_member_is_down_after_three_intervals_and_a_second(
    ground: Ground, member: Talker
) -> None:
    last = ground.service.ingest.members[domain_key(NODE)].heard
    member.kill()
    ground.clock.advance(30.0)
    down = next(when for when, state in ground.states() if state.health is Health.DOWN)
    assert 15.0 <= down - last <= 16.0


def test_a_goodbye_is_left_and_stays_so(ground: Ground, member: Talker) -> None:
    member.beat(leaving=True)
    ground.clock.advance(0.5)
    member.kill()
    ground.clock.advance(60.0)
    assert ground.healths()[-1] is Health.LEFT
    assert Health.DOWN not in ground.healths()


def test_heartbeats_that_a_bound_throws_away_are_doubt_and_not_down(
    ground: Ground, member: Talker
) -> None:
    queue = ground.site.broker.queues["heartbeat.0"]
    queue.paused = True
    ground.clock.advance(40.0)
    assert ground.service.heartbeats.thrown > 0, "too old, so the queue threw them away"
    member.kill()
    queue.paused = False
    queue.pump()
    ground.clock.advance(10.0)
    assert Health.DOWN not in ground.healths()
    doubts = {state.reason for _, state in ground.states() if state.health is Health.UNKNOWN}
    assert "no canary came back for over 3 s" in doubts
    ground.clock.advance(20.0)
    assert ground.healths()[-1] is Health.DOWN, "now its silence is proven"


def test_a_blocked_broker_is_named_as_the_reason(ground: Ground, member: Talker) -> None:
    ground.site.broker.block("memory alarm")
    ground.clock.advance(20.0)
    state = ground.service.ingest.members[domain_key(NODE)]
    assert (state.health, state.reason) == (Health.UNKNOWN, "blocked: memory alarm")
    ground.site.broker.unblock()
    ground.clock.advance(10.0)
    assert ground.healths()[-1] is Health.ALIVE
    assert Health.DOWN not in ground.healths()


def test_ten_minutes_of_backlog_call_none_of_200_members_down(ground: Ground) -> None:
    for n in range(200):
        ground.simulation.member(f"n{n}.many.example.org", HERE, interval=10.0)
    ground.clock.advance(20.0)
    for name in ("heartbeat.0", "metrics.0"):
        ground.site.broker.queues[name].paused = True
    ground.clock.advance(600.0)
    for name in ("heartbeat.0", "metrics.0"):
        ground.site.broker.queues[name].paused = False
        ground.site.broker.queues[name].pump()
    ground.clock.advance(60.0)
    members = ground.service.ingest.members.values()
    assert len(members) == 200
    assert {member.health for member in members} == {Health.ALIVE}
    told = {state.health for each in ground.statements() for state in each.members}
    assert Health.DOWN not in told
    assert Health.UNKNOWN in told
    assert {member.samples.missing("boot") for member in members} == {0}


# --- what cannot be taken


def beat(number: int, *, source: str = NODE) -> bytes:
    return encode(Heartbeat("boot", number, 5.0, 1.0, "x"), source=source, id="m", time=0.0)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff", Reason.NOT_JSON),
        (b"[1]", Reason.NO_CLOUDEVENT),
        (b"[" * 100 + b"]" * 100, Reason.TOO_DEEP),
        (b" " * 300_000, Reason.TOO_LARGE),
        (beat(1, source="another.example.org"), Reason.NOT_SENDER),
        (beat(10**9), Reason.FAR_SEQUENCE),
    ],
)
def test_what_cannot_be_taken_is_put_aside_and_the_next_is_taken(
    ground: Ground, member: Talker, body: bytes, reason: Reason
) -> None:
    ground.publish(HEARTBEAT, body)
    assert [record.reason for record in ground.dead] == [reason]
    assert (ground.dead[0].who, ground.dead[0].size) == (NODE, len(body))
    assert ground.states()[-1][1].reason == f"its messages are refused: {reason}"
    ground.clock.advance(6.0)
    assert ground.healths()[-1] is Health.ALIVE
    assert ground.statements()[-1].refused == 1
    assert ground.site.broker.queues["heartbeat.0"].unacked <= 1, "nothing but the newest"


def test_the_wrong_stream_is_refused(ground: Ground, member: Talker) -> None:
    ground.publish(METRICS, encode(Connection(NODE, connected=True), source=NODE, id="m", time=0.0))
    assert [record.reason for record in ground.dead] == [Reason.WRONG_STREAM]


def test_an_end_in_good_order_leaves_nothing_to_be_read_again(
    ground: Ground, member: Talker
) -> None:
    ground.service.stop()
    ground.clock.advance(5.0)
    for name in ("heartbeat.0", "metrics.0"):
        assert ground.site.broker.queues[name].unacked == 0
    waiting = len(ground.site.broker.queues["metrics.0"])
    assert waiting <= 2, "only what came after its end"


def test_it_ends_when_its_supernode_is_gone(ground: Ground, member: Talker) -> None:
    ground.service.parent_lives = lambda: False
    ground.clock.advance(1.0)
    assert ground.service.transport.status.reason == "stopped"

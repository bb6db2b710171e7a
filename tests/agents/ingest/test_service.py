"""The ingest process on a broker in memory: what it says, what it doubts, what it puts aside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from nm_agents.host import inbound
from nm_agents.ingest.service import IngestService
from nm_agents.inhand import DEATHS, GROUPS, LOSSES, SHORT_LIFE, SLOW, InHand
from nm_bus.codec import Decoded, Reason, decode, encode
from nm_bus.core.ingest import Ingest
from nm_bus.errors import StorageError
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.messages import (
    Connection,
    Event,
    Health,
    Heartbeat,
    MemberState,
    Message,
    Metrics,
    Quarantined,
    Rollups,
    Seconds,
    Statement,
    domain_key,
)
from nm_bus.storage.memory import MemoryStore
from nm_bus.testing.clock import VirtualClock
from nm_bus.topology import DEAD, HEARTBEAT, METRICS, REPORTS, Binding, Queue, Topology
from nm_bus.transport.base import Delivery, Outgoing
from nm_bus.transport.memory import MemoryTransport
from tests.agents.supernode.conftest import Process, Simulation, Site, Talker

HERE, NODE = "sn1.example.org", "n1.example.org"
COPY = "copy-of-reports"


class KilledError(RuntimeError):
    """The process was killed: what stands in its marker stays there."""


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

    def rollups(self) -> list[Rollups]:
        return [message for _, message in self.said if isinstance(message, Rollups)]

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

    def live(self, marker: Path, seconds: Seconds = 3.0) -> str:
        """A life of the process, which is killed in the end: the error that ended it before."""
        self.site.kill()
        try:
            with InHand(marker, clock=self.clock.now) as in_hand:
                self.service = self.site.ingest(0, in_hand)
                self.clock.advance(seconds)
                raise KilledError
        except (RuntimeError, StorageError) as error:
            return str(error)
        finally:
            self.site.kill()

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
    counts = [r.nodes[NODE]["host.load.1m"].count for r in ground.rollups() if NODE in r.nodes]
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


# --- what ends it


@pytest.fixture
def ended(ground: Ground) -> Ground:
    """The process has ended, and a member may still speak."""
    ground.site.broker.admit(grant(Role.MEMBER, NODE))
    ground.site.kill()
    return ground


OURS = "a fault of ours"

FOUND = DEATHS + len(GROUPS) - 1 + DEATHS
"""After so many deaths in the storing, or the tick, it is known which message is the cause."""


class Fragile(MemoryStore):
    """A store that ends the program over one series."""

    def put_many(self, kind: str, items: Mapping[str, bytes]) -> None:
        if any(b"host.deadly" in value for value in items.values()):
            raise RuntimeError(OURS)
        super().put_many(kind, items)


def sample(name: str, number: int) -> bytes:
    measured = Metrics("boot", number, 0.0, {name: 1.0})
    return encode(measured, source=NODE, id="m", time=0.0)


def test_a_sample_that_ends_it_when_it_is_stored_is_put_aside_and_the_others_are_stored(
    ended: Ground, tmp_path: Path
) -> None:
    ended.site.shares[0] = Fragile()
    for number, name in enumerate(("host.one", "host.deadly", "host.two"), 1):
        ended.publish(METRICS, sample(name, number))
    lives = [ended.live(tmp_path / "marker") for _ in range(FOUND + 1)]
    assert lives == [OURS] * FOUND + [""]
    assert ended.live(tmp_path / "marker") == "", "it does not come again"
    assert [record.reason for record in ended.dead] == [Reason.KILLED]
    kept = b"".join(body for _, body in ended.site.shares[0].load("minutes"))
    assert b"host.one" in kept
    assert b"host.two" in kept


def test_a_heartbeat_that_ends_it_when_it_is_read_is_put_aside(
    ended: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(body: bytes) -> Decoded:
        if body == b"deadly":
            raise RuntimeError(OURS)
        return decode(body)

    monkeypatch.setattr(inbound, "decode", fragile)
    ended.publish(HEARTBEAT, b"deadly")
    lives = [ended.live(tmp_path / "marker") for _ in range(DEATHS + 1)]
    assert lives == [OURS] * DEATHS + [""]
    assert [record.reason for record in ended.dead] == [Reason.KILLED]


def test_a_sample_that_ends_it_in_the_tick_is_put_aside(
    ended: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, tick = list[bytes](), Ingest.tick

    def noted(body: bytes) -> Decoded:
        read.append(body)
        return decode(body)

    def ticked(self: Ingest, now: Seconds) -> list[str]:
        if any(b"host.deadly" in body for body in read):
            raise RuntimeError(OURS)
        return tick(self, now)

    monkeypatch.setattr(inbound, "decode", noted)
    monkeypatch.setattr(Ingest, "tick", ticked)
    for number, name in enumerate(("host.one", "host.deadly", "host.two"), 1):
        ended.publish(METRICS, sample(name, number))
    for _ in range(FOUND):
        assert ended.live(tmp_path / "marker") == OURS
        read.clear()
    assert ended.live(tmp_path / "marker") == ""
    assert [record.reason for record in ended.dead] == [Reason.KILLED]


def test_what_is_read_for_long_whenever_the_connection_is_lost_is_put_aside(
    ended: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def slow(body: bytes) -> Decoded:
        if body == b"deadly":
            now[0] += 2 * SLOW
            ended.site.broker.close_connections(HERE)
        return decode(body)

    monkeypatch.setattr(inbound, "decode", slow)
    ended.publish(HEARTBEAT, b"deadly")
    with InHand(tmp_path / "marker", clock=lambda: now[0]) as in_hand:
        ended.site.ingest(0, in_hand)
        ended.clock.advance(60.0 * LOSSES)
        ended.site.kill()
    assert [record.reason for record in ended.dead] == [Reason.KILLED]


def test_a_full_disk_puts_nothing_aside(ended: Ground, tmp_path: Path) -> None:
    class Full(MemoryStore):
        def put_many(self, kind: str, items: Mapping[str, bytes]) -> None:
            raise StorageError("the disk is full")

    ended.site.shares[0] = Full()
    for number in range(5):
        ended.publish(METRICS, sample("host.load.1m", number + 1))
    for _ in range(3 * FOUND):
        assert ended.live(tmp_path / "marker") == "the disk is full"
    ended.site.shares[0] = MemoryStore()
    assert ended.live(tmp_path / "marker", 200.0) == ""
    assert ended.dead == []
    assert sum(r.nodes[NODE]["host.load.1m"].count for r in ended.rollups() if r.nodes) == 5


def test_kills_that_are_far_apart_leave_no_doubt(
    ground: Ground, member: Talker, tmp_path: Path
) -> None:
    for _ in range(2 * DEATHS):
        ground.live(tmp_path / "marker", 2 * SHORT_LIFE)
    with InHand(tmp_path / "marker") as in_hand:
        assert list(in_hand.suspects.values()) == [1]


def test_an_end_in_good_order_is_no_death(ground: Ground, member: Talker, tmp_path: Path) -> None:
    ground.site.kill()
    with InHand(tmp_path / "marker", clock=ground.clock.now) as in_hand:
        service = ground.site.ingest(0, in_hand)
        ground.clock.advance(10.0)
        service.stop()
    with InHand(tmp_path / "marker") as in_hand:
        assert in_hand.suspects == {}


def test_two_short_lives_that_an_operator_ended_put_nothing_aside(
    ground: Ground, member: Talker, tmp_path: Path
) -> None:
    for _ in range(3 * DEATHS):
        ground.live(tmp_path / "marker", 7.3)
    assert ground.dead == []
    last = member.samples
    ground.live(tmp_path / "marker", 200.0)
    assert ground.dead == []
    counts = [r.nodes[NODE]["host.load.1m"].count for r in ground.rollups() if NODE in r.nodes]
    assert sum(counts) >= last, "each of them counted, none twice"
    assert sum(counts) <= member.samples

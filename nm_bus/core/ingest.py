"""What one ingest process knows of its members, and what it says of them.

Pure: messages and ticks come in with the time, statements go out as values. Nothing here publishes,
stores or logs. The two streams of a member meet here, since both are spread by the same key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

from nm_bus.codec import size_of
from nm_bus.core import skew
from nm_bus.core.health import DOWN_AFTER, TWO_AGENTS, Evidence, judge
from nm_bus.core.pages import PAGE_BYTES, pages
from nm_bus.core.pipe import Pipe
from nm_bus.core.seen import Seen
from nm_bus.core.sequence import Novelty, Sequence
from nm_bus.messages import (
    Check,
    Connection,
    Declared,
    DomainKey,
    Health,
    Heartbeat,
    MemberState,
    Metrics,
    NodeId,
    Properties,
    Running,
    Seconds,
    Statement,
    domain_key,
)
from nm_bus.topology import PEER_BYTES

FORGET_LEFT = 3_600.0
"""Seconds after which a member that said goodbye is dropped."""

FORGET_DOWN = 7 * 86_400.0
"""Seconds after which a member that is down is dropped."""

FRESH = 90.0
"""Metrics older than this, in seconds, come from a spool: they say nothing of now."""

DECLARED = 500
"""How many metrics of its own a member may declare."""

ROSTER_BYTES, ROSTER_MEMBERS = PEER_BYTES - 65_536, 100_000
"""How large the list of all members may be. A longer one is left out, since everybody would refuse
the statement: then those who are gone are still shown by others."""

LATEST = 64
"""How many of a member's latest values are told to other supernodes."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Another agent that speaks in a member's name: its last word."""

    heard: Seconds
    incarnation: str
    sequence: int


@dataclass(slots=True)
class IngestedMember:
    """One member as this process has it. Times are the process's own."""

    node: NodeId
    key: DomainKey
    heard: Seconds
    changed: Seconds
    beats: Sequence = field(default_factory=Sequence)
    samples: Seen = field(default_factory=Seen)
    interval: Seconds = 5.0
    health: Health = Health.UNKNOWN
    reason: str = "not heard yet"
    leaving: bool = False
    connection_lost: str = ""
    refused: str = ""
    rival: Rival | None = None
    uptime: Seconds = 0.0
    skew: Seconds = 0.0
    spooled: int = 0
    agent: str = ""
    checks: tuple[Check, ...] = ()
    latest: dict[str, float] = field(default_factory=dict)
    properties: Properties | None = None
    declared: dict[str, Declared] = field(default_factory=dict)
    running: Running | None = None


@dataclass(slots=True)
class Ingest:
    """The members of one partition of one supernode.

    `heard` and `sampled` answer with what the message was; only NEXT and RESTARTED counted.
    """

    origin: NodeId
    partition: int
    incarnation: str
    pipe: Pipe
    members: dict[DomainKey, IngestedMember] = field(default_factory=dict)
    inherited: dict[DomainKey, IngestedMember] = field(default_factory=dict)
    """Members taken over when the number of processes changed; whose they are is found out."""
    received: int = 0
    refused: int = 0
    dropped: int = 0
    """How many of those that were refused are nowhere."""
    _spoken: int = 0
    urgent: bool = False
    """Whether a health or a check changed since the last statement: worth telling at once."""
    _changed: set[DomainKey] = field(default_factory=set)
    _described: set[DomainKey] = field(default_factory=set)
    _moved: set[DomainKey] = field(default_factory=set)
    """Members whose report of what they run is another than was told."""
    _beaten: set[DomainKey] = field(default_factory=set)

    def heard(self, node: NodeId, beat: Heartbeat, sent: Seconds, now: Seconds) -> Novelty:
        """Take a heartbeat whose sender the broker vouches for; `sent` is by the sender's clock."""
        member = self._member(node, now)
        novelty = member.beats.accept(beat.incarnation, beat.sequence)
        if novelty is Novelty.RIVAL:
            novelty = self._rival(member, beat, now)
        if novelty is not Novelty.NEXT and novelty is not Novelty.RESTARTED:
            return novelty
        self.received += 1
        member.heard = now
        rival = _living(member, now)
        if rival is not None and beat.leaving:
            # one of two agents said goodbye: the member lives on as the other one.
            member.beats.take_back(rival.incarnation, rival.sequence)
            member.rival, member.refused = None, ""
            self._judge(member, now)
            return novelty
        member.interval = beat.interval
        member.uptime = beat.uptime
        member.skew = skew.told(sent - now)
        member.spooled = beat.spooled
        if (
            member.health is not Health.ALIVE
            or beat.leaving is not member.leaving
            or beat.checks != member.checks
            or novelty is Novelty.RESTARTED
        ):
            member.agent, member.checks, member.leaving = beat.agent, beat.checks, beat.leaving
            member.connection_lost = ""
            member.refused = TWO_AGENTS if _living(member, now) else ""
            self._changed.add(member.key)
            self.urgent = True
            self._judge(member, now)
        self._beaten.add(member.key)
        return novelty

    def _rival(self, member: IngestedMember, beat: Heartbeat, now: Seconds) -> Novelty:
        """Two agents speak in one name: say so, until one of them left or was silent for long."""
        if member.leaving or now - member.heard > DOWN_AFTER * member.interval:
            member.beats.take_back(beat.incarnation, beat.sequence)
            member.rival = None
            return Novelty.RESTARTED
        gone = beat.leaving
        member.rival = None if gone else Rival(now, beat.incarnation, beat.sequence)
        member.refused = "" if gone else TWO_AGENTS
        self._judge(member, now)
        return Novelty.RIVAL

    def sampled(self, node: NodeId, metrics: Metrics, now: Seconds) -> Novelty:
        """Take metrics; whether they count. Spooled ones leave the latest values alone."""
        member = self._member(node, now)
        novelty = member.samples.accept(metrics.incarnation, metrics.sequence)
        if novelty is Novelty.NEXT or novelty is Novelty.RESTARTED:
            self.received += 1
            if metrics.age <= FRESH:
                member.latest.update(metrics.values)
                while len(member.latest) > LATEST:
                    del member.latest[next(iter(member.latest))]
                self._changed.add(member.key)
            if metrics.declared:
                new = {
                    each.name: each
                    for each in metrics.declared
                    if member.declared.get(each.name) != each
                }
                room = DECLARED - len(member.declared)
                if kept := dict(list(new.items())[: max(0, room)]):
                    member.declared.update(kept)
                    self._changed.add(member.key)
                    self._described.add(member.key)
        return novelty

    def described(self, node: NodeId, properties: Properties, now: Seconds) -> None:
        """Take what a member says of itself."""
        member = self._member(node, now)
        if member.properties != properties:
            member.properties = properties
            self._changed.add(member.key)
            self._described.add(member.key)

    def runs(self, node: NodeId, running: Running, now: Seconds) -> None:
        """Take which updates and documents a member has."""
        member = self._member(node, now)
        if member.running != running:
            member.running = running
            self._changed.add(member.key)
            self._moved.add(member.key)

    def declared(self, node: NodeId) -> Mapping[str, Declared]:
        """What a member declared of its metrics."""
        member = self.known(domain_key(node))
        return member.declared if member else {}

    def connection(self, hint: Connection, now: Seconds) -> None:
        """The broker saw a connection come or go: late at once, down only by proven silence."""
        member = self.members.get(domain_key(hint.node))
        if member is None:
            return
        member.connection_lost = "" if hint.connected else (hint.reason or "connection lost")
        self._judge(member, now)

    def known(self, key: DomainKey) -> IngestedMember | None:
        """A member, ours or inherited."""
        return self.members.get(key) or self.inherited.get(key)

    # --- members taken over from another number of processes

    def owns(self, key: DomainKey) -> NodeId | None:
        """What is sent under this key comes here: an inherited member is ours; its id if it was."""
        member = self.inherited.pop(key, None)
        if member is None:
            return None
        self.members[key] = member
        self._changed.add(key)
        self._described.add(key)
        self._moved.add(key)
        return member.node

    def disown(self) -> list[NodeId]:
        """Who is still inherited belongs to other processes: drop and name them."""
        gone = [member.node for member in self.inherited.values()]
        self.inherited.clear()
        return gone

    def refuse(self, node: NodeId, reason: str, now: Seconds) -> None:
        """A known member sent something that cannot be taken: it lives, but is not understood."""
        self.refused += 1
        member = self.members.get(domain_key(node))
        if member is not None and reason:
            member.refused, member.heard = reason, now
            self._judge(member, now)

    def tick(self, now: Seconds) -> list[NodeId]:
        """Time has passed: judge every member; drop those that are long gone, and name them."""
        for member in self.members.values():
            if member.health is not Health.ALIVE or now - member.heard > member.interval:
                self._judge(member, now)
        gone = [key for key, member in self.members.items() if _gone(member, now)]
        self._changed.difference_update(gone)
        self._beaten.difference_update(gone)
        return [self.members.pop(key).node for key in gone]

    def changes(self, now: Seconds) -> Iterator[Statement]:
        """What changed since the last time, in pages; at least one, since it also says `I live`."""
        changed = [self.members[key] for key in self._changed if key in self.members]
        quiet = self._beaten - self._changed
        heard = {m.node: now - m.heard for k in quiet if (m := self.members.get(k))}
        self._changed.clear()
        self._beaten.clear()
        self.urgent = False
        told = zip_longest(self._pages(changed, now), pages(heard.items()), fillvalue=())
        for page, ages in told:
            yield self._statement(page, now, heard=dict(ages))
        self._described.clear()
        self._moved.clear()

    def roster(self, now: Seconds) -> Iterator[Statement]:
        """Everything, in pages; the last one carries the list of all members, unless that is
        larger than a message may be."""
        everyone = list(self.members.values())
        self._changed.clear()
        self._beaten.clear()
        self._described.update(self.members)
        self._moved.update(self.members)
        self.urgent = False
        names = tuple(member.node for member in everyone)
        told, size = list(self._pages(everyone, now)), size_of(names)
        if size > PAGE_BYTES:
            told.append(())
        for page in told[:-1]:
            yield self._statement(page, now)
        fits = size <= ROSTER_BYTES and len(names) <= ROSTER_MEMBERS
        yield self._statement(told[-1], now, roster=names if fits else None)
        self._described.clear()
        self._moved.clear()

    def _pages(
        self, members: list[IngestedMember], now: Seconds
    ) -> Iterator[tuple[MemberState, ...]]:
        return pages(
            _told(m, now, described=m.key in self._described, moved=m.key in self._moved)
            for m in members
        )

    def _statement(
        self,
        page: tuple[MemberState, ...],
        now: Seconds,
        heard: dict[NodeId, Seconds] | None = None,
        roster: tuple[NodeId, ...] | None = None,
    ) -> Statement:
        self._spoken += 1
        return Statement(
            self.origin,
            self.partition,
            self.incarnation,
            self._spoken,
            self.pipe.state(now),
            page,
            heard or {},
            roster,
            self.received,
            self.refused,
            self.dropped,
        )

    def _member(self, node: NodeId, now: Seconds) -> IngestedMember:
        key = domain_key(node)
        member = self.known(key)
        if member is None:
            member = self.members[key] = IngestedMember(node, key, heard=now, changed=now)
            self._changed.add(key)
        return member

    def _judge(self, member: IngestedMember, now: Seconds) -> None:
        evidence = Evidence(
            member.heard, member.interval, member.leaving, member.connection_lost, member.refused
        )
        verdict = judge(evidence, self.pipe, member.health, now)
        if verdict.health is not member.health:
            member.changed = now
            self.urgent = True
        elif verdict.reason == member.reason:
            return
        member.health, member.reason = verdict
        self._changed.add(member.key)


def _living(member: IngestedMember, now: Seconds) -> Rival | None:
    """The other agent in a member's name, unless it has been silent for long."""
    rival = member.rival
    if rival is None or now - rival.heard > DOWN_AFTER * member.interval:
        return None
    return rival


def _gone(member: IngestedMember, now: Seconds) -> bool:
    if member.health is Health.LEFT:
        return now - member.heard > FORGET_LEFT
    return member.health is Health.DOWN and now - member.heard > FORGET_DOWN


def _told(member: IngestedMember, now: Seconds, *, described: bool, moved: bool) -> MemberState:
    return MemberState(
        node=member.node,
        health=member.health,
        reason=member.reason,
        heard=now - member.heard,
        changed=now - member.changed,
        incarnation=member.beats.incarnation,
        sequence=member.beats.number,
        missed=member.beats.missed,
        sampled=member.samples.taken(member.beats.incarnation),
        unsampled=member.samples.missing(member.beats.incarnation),
        interval=member.interval,
        agent=member.agent,
        uptime=member.uptime,
        skew=member.skew,
        spooled=member.spooled,
        checks=member.checks,
        latest=member.latest,
        properties=member.properties if described else None,
        declared=tuple(member.declared.values()) if described else None,
        running=member.running if moved else None,
    )

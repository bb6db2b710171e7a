"""The ingest process at work: its queues, the canaries through them, and what is stored when.

It reads heartbeats and metrics of its share of the members, and tells what it knows of them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nm_agents.host.inbound import Channel, EachAcked, Inbound
from nm_agents.host.sender import Sender
from nm_agents.ingest.inheritance import Inheritance
from nm_agents.ingest.memory import Memory
from nm_agents.ingest.reader import PartitionReader
from nm_agents.inhand import SHORT_LIFE
from nm_agents.quarantine import Quarantine
from nm_bus.codec import Rejected
from nm_bus.core.ingest import Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.core.windows import Windows
from nm_bus.messages import Canary, Rollups, Seconds, Statement
from nm_bus.settings import Timing
from nm_bus.topology import REPORTS, LinkKind, thrown_queue
from nm_bus.transport.base import Delivery, Flow, Status, Transport

# --- What an ingest process says of its members, to its supernode and to all others at once.

CLOSED_AT_ONCE = 200
"""How many members' minutes are told in one tick: all of thousands would delay their heartbeats."""


@dataclass(slots=True)
class Statements:
    """The changes at once or every few seconds, all members now and then, minutes as they end."""

    sender: Sender
    timing: Timing
    ingest: Ingest
    windows: Windows
    memory: Memory
    inheritance: Inheritance
    _rollups: int = 0
    _next_statement: Seconds = 0.0
    _next_roster: Seconds = 0.0

    def again(self) -> None:
        """What was said before may not have been received: say all of it soon."""
        self._next_roster = 0.0

    def tick(self, now: Seconds) -> None:
        """Judge the members, and say what is to be said now."""
        self._forget(self.ingest.tick(now))
        if self.inheritance.is_settled:
            if now >= self._next_roster:
                self._next_roster = now + self.timing.roster
                self._next_statement = now + self.timing.statement
                self._state(said := list(self.ingest.roster(now)))
                if said[-1].roster is None:
                    _LOG.warning("too many members for one list of them: raise limits.partitions")
            elif now >= self._next_statement or self.ingest.urgent:
                self._next_statement = now + self.timing.statement
                self._state(list(self.ingest.changes(now)))
            one = self.ingest
            for closed in self.windows.close(now, CLOSED_AT_ONCE):
                self._rollups += 1
                span = closed.start, closed.length, closed.nodes
                rollups = Rollups(one.origin, one.partition, one.incarnation, self._rollups, *span)
                self.sender.publish(REPORTS, f"{LinkKind.BULK}.rollups", rollups)
        else:
            # all members are named once the others have spoken too: none shall be missing meanwhile
            self._forget(self.inheritance.tick(now))
            self._next_roster = now + self.timing.roster

    def _forget(self, nodes: list[str]) -> None:
        for node in nodes:
            self.windows.forget(node)
            self.memory.changed(node)

    def _state(self, statements: list[Statement]) -> None:
        for statement in statements:
            for state in statement.members:
                self.memory.changed(state.node)
            self.sender.publish(REPORTS, f"{LinkKind.BULK}.statement", statement)


# --- Acknowledging many deliveries at once, but never one that quarantine has not confirmed yet.


@dataclass(slots=True)
class Acks:
    """The deliveries of one queue, in their order. A new connection starts from nothing by itself.

    After `at_once` deliveries they are acknowledged without being asked for.
    """

    transport: Transport
    at_once: int | None = None
    last: Delivery | None = None
    count: int = 0
    """Deliveries since the last acknowledgement."""
    _acked: int = 0
    _held: set[int] = field(default_factory=set)

    def came(self, delivery: Delivery) -> None:
        """A delivery came; it is acknowledged by a later flush."""
        if self.last is None or delivery.epoch != self.last.epoch:
            self._held, self._acked, self.count = set(), 0, 0
        self.last = delivery
        self.count += 1

    def hold(self, delivery: Delivery) -> None:
        """Nothing from this delivery on may be acknowledged until it is released."""
        self._held.add(delivery.tag)

    def done(self, delivery: Delivery) -> None:
        """It was handled."""
        if self.at_once is not None and self.count >= self.at_once:
            self.flush()

    def release(self, delivery: Delivery, kept: bool) -> None:
        """It may be acknowledged now; what was not `kept` is given back to be read again."""
        if self.last is None or delivery.epoch != self.last.epoch:
            return
        self._held.discard(delivery.tag)
        if not kept:
            self.transport.reject(delivery, requeue=True)

    def flush(self, upto: Delivery | None = None) -> None:
        """Acknowledge everything that came, or came before and with `upto`."""
        target = upto or self.last
        if target is None or self.last is None or target.epoch != self.last.epoch:
            return
        tag = min([target.tag, *(held - 1 for held in self._held)])
        if tag > self._acked:
            self.transport.ack(replace(target, tag=tag), multiple=True)
            self.count = max(0, self.count - (tag - self._acked))
            self._acked = tag


_LOG = logging.getLogger(__name__)

TICK: Seconds = 0.25
"""How often members are judged: a small part of the second within which a silence is reported."""

KEEP: Seconds = 1.0
"""How often a part of what changed is stored."""

ACK_EACH = 200
"""Heartbeats that are acknowledged at once; a tick acknowledges what is left."""

HEARTBEATS_AHEAD = 1_000
METRICS_AHEAD = 65_000
"""Metrics that may wait for their storing; the protocol's field for it ends at 65,535."""

METRICS_CROWDED = 20_000
"""Metrics waiting for their storing that make it worth storing all at once."""

AT_ONCE, EVERYTHING = 100, 1_000_000
"""How many members are stored at once: some, so that no tick takes long; or all of them."""


@dataclass(slots=True)
class IngestService:
    """One partition's process. `parent_lives` says whether its supernode is still there."""

    sender: Sender
    inbound: Inbound
    quarantine: Quarantine
    reader: PartitionReader
    memory: Memory
    statements: Statements
    heartbeats: Pipe
    metrics: Pipe
    parent_lives: Callable[[], bool]
    _beats: Acks = field(init=False)
    _samples: Acks = field(init=False)
    _stored_upto: Delivery | None = None
    _canaries: int = 0

    def __post_init__(self) -> None:
        self._beats = Acks(self.transport, ACK_EACH)
        self._samples = Acks(self.transport)

    @property
    def transport(self) -> Transport:
        """The way to the broker."""
        return self.sender.transport

    @property
    def ingest(self) -> Ingest:
        """What is known of the members."""
        return self.reader.ingest

    def start(self) -> None:
        """Ask for the queues and begin to tick."""
        self.transport.on_status(self._status)
        self.inbound.listen(self._channel(self.heartbeats, self._beats, HEARTBEATS_AHEAD))
        self.inbound.listen(self._channel(self.metrics, self._samples, METRICS_AHEAD))
        queue = thrown_queue(self.ingest.partition)
        settling = EachAcked(self.transport)
        channel = Channel(queue, self.reader.vouch, settling, owed=self._settle)
        self.inbound.watch(channel, self._thrown)
        self._tick()
        self._canary()
        self._keep()
        if self.inbound.in_hand is not None:
            self.transport.later(SHORT_LIFE, self.inbound.in_hand.lived)

    def stop(self) -> None:
        """Store what is known, acknowledge it, and end."""
        self.memory.save()
        self._beats.flush()
        self._samples.flush()
        self.transport.stop()

    # --- what comes in

    def _channel(self, pipe: Pipe, acks: Acks, prefetch: int) -> Channel:
        return Channel(
            pipe.path,
            self.reader.vouch,
            acks,
            refused=self._refused,
            owed=self._settle,
            prefetch=prefetch,
        )

    def _settle(self) -> None:
        """Do at once what else waits for its time: judge, report, store, acknowledge."""
        self._judge()
        self.memory.flush()
        self._samples.flush()

    def _thrown(self, delivery: Delivery) -> None:
        pipe = self.metrics if delivery.key.endswith(self.metrics.path) else self.heartbeats
        pipe.threw(1, self.transport.now())

    def _refused(self, delivery: Delivery, rejected: Rejected) -> None:
        self.ingest.refuse(delivery.user_id or "", rejected.reason, self.transport.now())

    # --- what time brings

    def _tick(self) -> None:
        if not self.parent_lives():
            _LOG.info("the supernode is gone: ending")
            self.stop()
            return
        self._judge()
        self.transport.later(TICK, self._tick)

    def _judge(self) -> None:
        self._beats.flush()
        self.ingest.dropped = self.quarantine.dropped
        self.statements.tick(self.transport.now())

    def _canary(self) -> None:
        for pipe in (self.heartbeats, self.metrics):
            self._canaries += 1
            sent = self.transport.now()
            canary = Canary(pipe.path, self.ingest.incarnation, self._canaries, sent)
            self.sender.publish("", pipe.path, canary)
        self.transport.later(self.statements.timing.canary, self._canary)

    def _keep(self) -> None:
        crowded = self._samples.count > METRICS_CROWDED
        if self.memory.begin():
            self._stored_upto = self._samples.last
        if self.memory.step(EVERYTHING if crowded else AT_ONCE):
            self._samples.flush(self._stored_upto)
        self.transport.later(KEEP, self._keep)

    def _status(self, status: Status) -> None:
        if status.flow is Flow.UP:
            self.statements.again()
        trouble = "" if status.flow is Flow.UP else f"{status.flow}: {status.reason}".rstrip(": ")
        if status.flow is Flow.DOWN and self.inbound.in_hand is not None:
            self.inbound.in_hand.lost()
        for pipe in (self.heartbeats, self.metrics):
            pipe.troubled(trouble)

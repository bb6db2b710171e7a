"""The ingest process at work: deliveries and ticks into the core, statements out to the bus.

It reads heartbeats and metrics of its share of the members, sends a canary through each of its
own queues, and tells what it knows to its supernode and to all others with one publication.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from nm_agents.ingest.acks import Acks
from nm_agents.ingest.inheritance import Inheritance
from nm_agents.ingest.memory import Memory
from nm_agents.ingest.reader import Reader
from nm_agents.inhand import SHORT_LIFE, InHand
from nm_agents.quarantine import Quarantine
from nm_bus.codec import Rejected, encode
from nm_bus.core.ingest import Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.core.windows import Windows
from nm_bus.messages import Canary, Message, Rollups, Seconds, Statement
from nm_bus.settings import Timing
from nm_bus.topology import REPORTS, LinkKind, heartbeat_queue, metrics_queue, thrown_queue
from nm_bus.transport.base import Consume, Delivery, Flow, Outgoing, Status, Transport

_LOG = logging.getLogger(__name__)

TICK: Seconds = 0.25
"""How often members are judged: a small part of the second within which a silence is told."""

KEEP: Seconds = 1.0
"""How often a part of what changed is stored."""

ACK_EACH = 200
"""Heartbeats that are acknowledged at once; a tick acknowledges what is left."""

HEARTBEATS_AHEAD = 1_000
METRICS_AHEAD = 65_000
"""Metrics that may wait for their storing; the protocol's field for it ends at 65,535."""

METRICS_CROWDED = 20_000
"""Metrics waiting for their storing that make it worth storing all at once."""

CLOSED_AT_ONCE = 200
"""How many members' minutes are told in one tick: all of thousands would delay their heartbeats."""

AT_ONCE, EVERYTHING = 100, 1_000_000
"""How many members are stored at once: some, so that no tick takes long; or all of them."""


@dataclass(slots=True)
class IngestService:
    """One partition's process. `parent_lives` says whether its supernode is still there."""

    transport: Transport
    timing: Timing
    ingest: Ingest
    windows: Windows
    reader: Reader
    memory: Memory
    quarantine: Quarantine
    in_hand: InHand | None
    parent_lives: Callable[[], bool]
    heartbeats: Pipe
    metrics: Pipe
    _inheritance: Inheritance = field(init=False)
    _beats: Acks = field(init=False)
    _samples: Acks = field(init=False)
    _stored_upto: Delivery | None = None
    _canaries: int = 0
    _rollups: int = 0
    _next_statement: Seconds = 0.0
    _next_roster: Seconds = 0.0

    def __post_init__(self) -> None:
        self._beats, self._samples = Acks(self.transport), Acks(self.transport)
        self._inheritance = Inheritance(
            self.transport,
            self.ingest,
            (self.heartbeats, self.metrics),
            lambda canary: self._encoded(canary, canary.sequence),
        )

    def start(self) -> None:
        """Ask for the queues and begin to tick."""
        partition = self.ingest.partition
        self.transport.on_status(self._status)
        beat = self._marked(self._heartbeat, self._beats)
        sample = self._marked(self._metric, self._samples)
        self.transport.consume(heartbeat_queue(partition), beat, prefetch=HEARTBEATS_AHEAD)
        self.transport.consume(metrics_queue(partition), sample, prefetch=METRICS_AHEAD)
        self.transport.consume(thrown_queue(partition), self._thrown, prefetch=HEARTBEATS_AHEAD)
        self._tick()
        self._canary()
        self._keep()
        if self.in_hand is not None:
            self.transport.later(SHORT_LIFE, self.in_hand.lived)

    def stop(self) -> None:
        """Store what is known, acknowledge it, and end."""
        self.memory.save()
        self._beats.flush()
        self._samples.flush()
        self.transport.stop()

    # --- what comes in

    def _marked(self, handler: Consume, acks: Acks) -> Consume:
        """The handler, with what it has in hand marked on disk, where there is one."""
        if self.in_hand is None:
            return handler

        def refuse(delivery: Delivery, rejected: Rejected) -> None:
            acks.came(delivery)
            self._refuse(delivery, rejected, acks)

        return self.in_hand.over(handler, refuse, self._settle)

    def _settle(self) -> None:
        """Do at once what else waits for its time: judge, tell, store, acknowledge."""
        self._judge()
        self.memory.flush()
        self._samples.flush()

    def _heartbeat(self, delivery: Delivery) -> None:
        self._beats.came(delivery)
        rejected = self.reader.take(delivery, self.transport.now())
        if rejected is not None:
            self._refuse(delivery, rejected, self._beats)
        if self._beats.count >= ACK_EACH:
            self._beats.flush()

    def _metric(self, delivery: Delivery) -> None:
        self._samples.came(delivery)
        rejected = self.reader.take(delivery, self.transport.now())
        if rejected is not None:
            self._refuse(delivery, rejected, self._samples)
        elif delivery.user_id is not None:
            self.memory.changed(delivery.user_id)

    def _thrown(self, delivery: Delivery) -> None:
        pipe = self.metrics if delivery.key.endswith(self.metrics.path) else self.heartbeats
        pipe.threw(1, self.transport.now())
        self.transport.ack(delivery)

    def _refuse(self, delivery: Delivery, rejected: Rejected, acks: Acks) -> None:
        acks.hold(delivery)
        who = delivery.user_id or ""
        self.ingest.refuse(who, rejected.reason, self.transport.now())
        self.quarantine.put(delivery, rejected, lambda kept: acks.release(delivery, again=not kept))

    # --- what time brings

    def _tick(self) -> None:
        if not self.parent_lives():
            _LOG.info("the supernode is gone: ending")
            self.stop()
            return
        self._judge()
        self.transport.later(TICK, self._tick)

    def _judge(self) -> None:
        now = self.transport.now()
        self._beats.flush()
        for node in self.ingest.tick(now):
            self.windows.forget(node)
            self.memory.changed(node)
        if self._inheritance.is_settled:
            self._tell(now)
        else:
            self._find_out(now)

    def _find_out(self, now: Seconds) -> None:
        """Find out whom to speak for. The whole roster waits until the others have spoken too:
        nobody shall be missing meanwhile."""
        for node in self._inheritance.tick(now):
            self.windows.forget(node)
            self.memory.changed(node)
        self._next_roster = now + self.timing.roster

    def _tell(self, now: Seconds) -> None:
        self.ingest.dropped = self.quarantine.dropped
        if now >= self._next_roster:
            self._next_roster = now + self.timing.roster
            self._next_statement = now + self.timing.statement
            self._state(told := list(self.ingest.roster(now)))
            if told[-1].roster is None:
                _LOG.warning("too many members for one list of them: raise limits.partitions")
        elif now >= self._next_statement or self.ingest.urgent:
            self._next_statement = now + self.timing.statement
            self._state(list(self.ingest.changes(now)))
        for closed in self.windows.close(now, CLOSED_AT_ONCE):
            self._rollups += 1
            origin, partition = self.ingest.origin, self.ingest.partition
            self._publish(
                Rollups(
                    origin,
                    partition,
                    self.ingest.incarnation,
                    self._rollups,
                    closed.start,
                    closed.length,
                    closed.nodes,
                )
            )

    def _state(self, statements: list[Statement]) -> None:
        for statement in statements:
            for state in statement.members:
                self.memory.changed(state.node)
            self._publish(statement)

    def _publish(self, message: Statement | Rollups) -> None:
        kind = type(message).__name__.lower()
        key = f"{LinkKind.BULK}.{kind}"
        self.transport.publish(Outgoing(REPORTS, key, self._encoded(message, message.sequence)))

    def _encoded(self, message: Message, number: int) -> bytes:
        identity = f"{self.ingest.incarnation}.{self.ingest.partition}.{number}"
        return encode(message, source=self.ingest.origin, id=identity, time=self.transport.now())

    def _canary(self) -> None:
        for pipe in (self.heartbeats, self.metrics):
            self._canaries += 1
            sent = self.transport.now()
            canary = Canary(pipe.path, self.ingest.incarnation, self._canaries, sent)
            self.transport.publish(Outgoing("", pipe.path, self._encoded(canary, self._canaries)))
        self.transport.later(self.timing.canary, self._canary)

    def _keep(self) -> None:
        crowded = self._samples.count > METRICS_CROWDED
        if self.memory.begin():
            self._stored_upto = self._samples.last
        if self.memory.step(EVERYTHING if crowded else AT_ONCE):
            self._samples.flush(self._stored_upto)
        self.transport.later(KEEP, self._keep)

    def _status(self, status: Status) -> None:
        if status.flow is Flow.UP:
            self._next_roster = 0.0  # what was said before may not have been heard
        trouble = "" if status.flow is Flow.UP else f"{status.flow}: {status.reason}".rstrip(": ")
        if status.flow is Flow.DOWN and self.in_hand is not None:
            self.in_hand.lost()
        for pipe in (self.heartbeats, self.metrics):
            pipe.troubled(trouble)

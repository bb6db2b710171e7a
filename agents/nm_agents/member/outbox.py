"""Metrics on their way: kept on disk first, sent, and removed once the broker has them.

What is measured now goes first; what waits follows at a bounded rate, the oldest first, because it
is the next to be dropped and because counters make sense in the order in which they were read. So
a broker that comes back is not swamped by those who waited for it.
"""

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial

import msgspec

from nm_agents.host.sender import Sender
from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.agent import sent_after
from nm_bus.errors import StorageError
from nm_bus.messages import Metrics, Seconds, domain_key
from nm_bus.storage.spool import Record, Spool
from nm_bus.topology import METRICS
from nm_bus.transport.base import Flow, Outcome, Published, Timer
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)

TICK = 0.5
DRAINED_A_TICK = 10
"""What waits is sent at no more than 20 messages a second."""

WINDOW = 64
"""How many may be without an outcome at once."""

TRIES = 3
"""A message that the broker refused so often is dropped: it would hold up all others for ever."""

Durable = Callable[[bool], None]


class MetricsOutbox:
    """Every measurement passes here."""

    def __init__(self, spool: Spool, sender: Sender, pauses: Pauses) -> None:
        self._spool, self._sender, self._pauses = spool, sender, pauses
        self._transport = sender.transport
        self._in_flight: set[int] = set()
        self._unkept = 0
        self._to_retire: set[int] = set()
        self._refused: Counter[int] = Counter()
        self._drain: Timer | None = None
        self._said_dropped = False
        self.trouble = ""
        self.lost = 0

    @property
    def waiting(self) -> int:
        """How many messages are kept and not on their way."""
        return max(0, self._spool.count - len(self._in_flight | self._to_retire))

    @property
    def bytes(self) -> int:
        """How much is kept."""
        return self._spool.bytes

    @property
    def dropped(self) -> int:
        """How many messages were thrown away in this life of the agent."""
        return self._spool.dropped + self.lost

    def offer(self, metrics: Metrics, measured: Seconds, durable: Durable | None = None) -> None:
        """Take a measurement. `durable` hears once whether it is safe: on disk, or at the broker.

        On a disk that takes nothing it is sent all the same, if the broker can be reached now.
        One that is safe nowhere is lost and counted, unless `durable` can offer it again.
        """
        record = self._keep(metrics, measured)
        if record is not None:
            _settle(durable, True)
            if self._free():
                self._send_metrics(record, metrics)
            elif self._transport.status.flow is Flow.UP:
                self._later(TICK)
        elif self._free():
            self._unkept += 1
            sent = sent_after(metrics, measured, self._transport.now())
            self._send(sent, partial(self._unkept_outcome, durable))
        else:
            self._unsafe(durable)

    def flow_changed(self, flow: Flow) -> None:
        """The broker can be reached again, or not: what waits begins to go, or stops."""
        self._stop_draining()
        if flow is Flow.UP:
            self._pauses.reset()
            self._later(self._pauses.next())

    def close(self) -> None:
        """Stop sending. What waits is there at the next start."""
        self._stop_draining()
        self._spool.close()

    def _free(self) -> bool:
        in_flight = len(self._in_flight) + self._unkept
        return self._transport.status.flow is Flow.UP and in_flight < WINDOW

    def _keep(self, metrics: Metrics, measured: Seconds) -> Record | None:
        body = msgspec.json.encode(metrics)
        try:
            record = self._spool.put(body, measured, self._transport.now())
        except StorageError as error:
            self._in_trouble(str(error))
            return None
        self._in_trouble("")
        if self._spool.dropped and not self._said_dropped:
            self._said_dropped = True
            LOGGER.warning("the spool is full, or holds what is too old: metrics are thrown away")
        return record

    def _in_trouble(self, trouble: str) -> None:
        if bool(trouble) != bool(self.trouble):
            say = LOGGER.error if trouble else LOGGER.info
            say("%s", trouble or "the spool can be written again")
        self.trouble = trouble

    def _unsafe(self, durable: Durable | None) -> None:
        self.lost += durable is None
        _settle(durable, False)

    def _send_record(self, record: Record) -> None:
        """Send what an earlier moment, or another life of the agent, has written."""
        metrics = attempt(lambda: msgspec.json.decode(record.body, type=Metrics))
        if isinstance(metrics, Unreadable):
            LOGGER.error("a record of the spool %s; it is dropped", metrics.reason)
            self.lost += 1
            self._retire(record.id)
        else:
            self._send_metrics(record, metrics)

    def _send_metrics(self, record: Record, metrics: Metrics) -> None:
        sent = sent_after(metrics, record.measured, self._transport.now())
        self._in_flight.add(record.id)
        self._send(sent, partial(self._outcome, record.id))

    def _send(self, metrics: Metrics, done: Published) -> None:
        key = domain_key(self._sender.source)
        self._sender.publish(METRICS, key, metrics, done, persistent=True)

    def _outcome(self, id: int, outcome: Outcome) -> None:
        self._in_flight.discard(id)
        if outcome is Outcome.CONFIRMED:
            self._pauses.reset()
            self._refused.pop(id, None)
            self._retire(id)
            return
        if outcome is Outcome.REFUSED:
            self._was_refused(id)
        if outcome is not Outcome.LOST:
            # A broker that says no, or nothing, is not pressed: what waits goes on later.
            delay = self._pauses.next()
            self._stop_draining()
            self._later(delay)
        elif self._transport.status.flow is Flow.UP:
            self._later(TICK)

    def _unkept_outcome(self, durable: Durable | None, outcome: Outcome) -> None:
        self._unkept -= 1
        if outcome is Outcome.CONFIRMED:
            _settle(durable, True)
        else:
            self._unsafe(durable)

    def _retire(self, id: int) -> None:
        """A full disk may refuse even this: then it is remembered, not sent again."""
        self._to_retire.add(id)
        try:
            for done in tuple(self._to_retire):
                self._spool.retire(done)
                self._to_retire.discard(done)
        except StorageError as error:
            self._in_trouble(str(error))

    def _was_refused(self, id: int) -> None:
        self._refused[id] += 1
        if self._refused[id] < TRIES:
            return
        LOGGER.error("the broker refused a metrics message %d times; it is dropped", TRIES)
        del self._refused[id]
        self.lost += 1
        self._retire(id)

    def _later(self, delay: Seconds) -> None:
        if self._drain is None:
            self._drain = self._transport.later(delay, self._drain_some)

    def _stop_draining(self) -> None:
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None

    def _drain_some(self) -> None:
        self._drain = None
        if self._transport.status.flow is not Flow.UP:
            return
        try:
            self._spool.expire(self._transport.now())
            busy = frozenset(self._in_flight | self._to_retire)
            records = self._spool.oldest(DRAINED_A_TICK, beyond=busy)
        except StorageError as error:
            self._in_trouble(str(error))
            records = []
        for record in records:
            if self._free():
                self._send_record(record)
        if self.waiting:
            self._later(TICK)


def _settle(durable: Durable | None, safe: bool) -> None:
    if durable is not None:
        durable(safe)

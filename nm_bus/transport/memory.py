"""`MemoryTransport`: a transport to a memory broker, on a clock that the test moves.

It keeps every promise that the transport to RabbitMQ keeps, refusals and losses included.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from nm_bus.errors import ConfigError
from nm_bus.messages import Seconds
from nm_bus.settings import LOCAL, Timing
from nm_bus.topology import Topology
from nm_bus.transport.base import (
    REPLY_TO,
    Answered,
    Changed,
    Consume,
    Delivery,
    Flow,
    Outcome,
    Outgoing,
    Published,
    Status,
    Timer,
)
from nm_bus.transport.memory_broker import MemoryBroker, delivery
from nm_bus.transport.memory_queue import Clock, Consumer, Stored
from nm_bus.transport.reconnect import Pauses

_GOODBYE: Seconds = 3.0


@dataclass(slots=True, eq=False)
class _Reading:
    """A queue that is read, or will be when the broker lets us."""

    queue: str
    handler: Consume
    prefetch: int
    exclusive: bool
    pauses: Pauses
    epoch: int = 0
    consumer: Consumer | None = None
    retry: Timer | None = None


class MemoryTransport:
    """A transport to one memory broker, as `user`.

    `start` begins without waiting; `run` also moves the clock until `stop`.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        clock: Clock,
        *,
        user: str,
        random: Callable[[], float],
        timing: Timing = LOCAL,
    ) -> None:
        self.user = user
        self._broker, self._clock, self._timing, self._random = broker, clock, timing, random
        self._status = Status(Flow.CONNECTING, since=clock.now())
        self._listeners: list[Changed] = []
        self._reconnect = self._pauses()
        self._retry: Timer | None = None
        self._readings: dict[str, _Reading] = {}
        self._topologies: dict[Hashable, Topology] = {}
        self._declared: dict[Hashable, list[Published]] = {}
        self._sent: dict[int, tuple[Published, Timer]] = {}
        self._asked: dict[str, tuple[Answered, Timer]] = {}
        self._ids, self._epochs = count(1), count(1)
        self._channel = 0
        self._reply_to = ""
        self._ever_up = self._stopping = self._stopped = False
        self._failure: ConfigError | None = None

    def _pauses(self) -> Pauses:
        return Pauses(self._timing.retry_first, self._timing.retry_most, self._random)

    # --- state

    @property
    def status(self) -> Status:
        """The state now."""
        return self._status

    def on_status(self, changed: Changed) -> None:
        """Call `changed` at each change of state."""
        self._listeners.append(changed)

    def _become(self, flow: Flow, reason: str = "") -> None:
        if (flow, reason) != (self._status.flow, self._status.reason):
            self._status = Status(flow, reason, self._clock.now())
            for changed in self._listeners:
                changed(self._status)

    @property
    def _connected(self) -> bool:
        return self._status.flow in (Flow.UP, Flow.BLOCKED)

    # --- the connection

    def start(self) -> None:
        """Connect, and stay connected until `stop`."""
        self._clock.later(0.0, self._connect)

    def _connect(self) -> None:
        self._retry = None
        if self._stopping or self._failure is not None:
            return
        if not self._broker.running or self._broker.paused:
            how = "does not answer" if self._broker.running else "refuses connections"
            self._try_again(f"{self._broker.name} {how}")
            return
        refusal = self._broker.connect(self)
        if refusal is None:
            self._ever_up = True
            self._reconnect.reset()
            self._open_channel()
            self._become(Flow.BLOCKED if self._broker.alarm else Flow.UP, self._broker.alarm or "")
            for key in list(self._topologies):
                self._declare(self._topologies[key], key)
            for reading in list(self._readings.values()):
                self._read(reading)
        elif self._ever_up:
            self._try_again(refusal.text)
        else:
            self._failure = ConfigError(self._broker.name, refusal.text)

    def _open_channel(self) -> None:
        self._channel += 1
        self._reply_to = self._broker.reply_address(self)

    def _try_again(self, reason: str) -> None:
        self._retry = self._clock.later(self._reconnect.next(), self._connect)
        self._become(Flow.DOWN, reason)

    def lost(self, reason: str) -> None:
        """The broker cut the connection."""
        self._try_again(f"{self._broker.name} closed the connection: {reason}")
        for reading in self._readings.values():
            self._leave(reading)
        self._close_channel()

    def block(self, reason: str | None) -> None:
        """The broker blocks publishing for this reason, or (None) no longer."""
        self._become(Flow.UP if reason is None else Flow.BLOCKED, reason or "")

    # --- declaring

    def declare(
        self, topology: Topology, done: Published | None = None, *, renew: bool = True
    ) -> None:
        """Declare all of it; `renew`: again after each reconnection, until the program ends."""
        key = topology.identity
        if renew:
            self._topologies[key] = topology
        elif not self._connected:
            self._tell_later(done, Outcome.LOST)
            return
        if done is not None:
            self._declared.setdefault(key, []).append(done)
        if self._connected:
            self._clock.later(0.0, partial(self._declare, topology, key))

    def _declare(self, topology: Topology, key: Hashable) -> None:
        if not self._connected:
            return
        refusal = self._broker.declare(topology, self.user)
        for done in self._declared.pop(key, []):
            done(Outcome.CONFIRMED if refusal is None else Outcome.REFUSED)

    # --- publishing

    def publish(self, message: Outgoing, done: Published | None = None) -> None:
        """Send with a publisher confirm and tell the outcome once, within the confirm limit."""
        if not self._connected:
            self._tell_later(done, Outcome.LOST)
            return
        sent = next(self._ids)
        timer = self._clock.later(self._timing.confirm, partial(self._late, sent))
        self._sent[sent] = (done or _nobody, timer)
        if self._status.flow is Flow.UP:
            full = replace(
                message,
                user_id=message.user_id or self.user,
                reply_to=self._reply_to if message.reply_to == REPLY_TO else message.reply_to,
            )
            self._clock.later(0.0, partial(self._arrive, sent, full, self._channel))

    def _arrive(self, sent: int, message: Outgoing, channel: int) -> None:
        if channel != self._channel:
            return
        if self._broker.paused:
            self._broker.stall(partial(self._arrive, sent, message, channel))
            return
        outcome = self._broker.publish(self.user, message)
        if isinstance(outcome, Outcome):
            self._settle(sent, outcome)
            return
        self._settle(sent, Outcome.REFUSED)
        self._close_channel()
        self._open_channel()

    def _close_channel(self) -> None:
        """What is in flight on a channel goes with it."""
        self._channel += 1
        for sent in list(self._sent):
            self._settle(sent, Outcome.LOST)
        for asked in list(self._asked):
            self._give(asked, None)

    def _settle(self, sent: int, outcome: Outcome) -> None:
        done, timer = self._sent.pop(sent, (_nobody, None))
        if timer is not None:
            timer.cancel()
            done(outcome)

    def _late(self, sent: int) -> None:
        self._settle(sent, Outcome.TIMED_OUT)

    def _tell_later(self, done: Published | None, outcome: Outcome) -> None:
        if done is not None:
            self._clock.later(0.0, partial(done, outcome))

    # --- requests

    def request(self, message: Outgoing, answered: Answered, *, timeout: Seconds) -> None:
        """Publish with direct reply-to; give the answer, or None when none came."""
        asked = str(next(self._ids))
        timer = self._clock.later(timeout, partial(self._give, asked, None))
        self._asked[asked] = (answered, timer)
        question = replace(message, reply_to=REPLY_TO, correlation_id=asked)
        self.publish(question, partial(self._asked_now, asked))

    def _asked_now(self, asked: str, outcome: Outcome) -> None:
        if outcome not in (Outcome.CONFIRMED, Outcome.TIMED_OUT):
            self._give(asked, None)

    def answer(self, delivery: Delivery) -> None:
        """A message to our reply address; a late one finds nobody and is dropped."""
        self._give(delivery.correlation_id or "", delivery)

    def _give(self, asked: str, answer: Delivery | None) -> None:
        found = self._asked.pop(asked, None)
        if found is not None:
            answered, timer = found
            timer.cancel()
            answered(answer)

    # --- reading

    def consume(
        self,
        queue: str,
        handler: Consume,
        *,
        prefetch: int = 100,
        exclusive: bool = False,
    ) -> None:
        """Read a queue from now on and after each reconnection. A queue is consumed once."""
        if queue in self._readings:
            raise ValueError(f"{queue} is consumed already")
        reading = _Reading(queue, handler, prefetch, exclusive, self._pauses())
        self._readings[queue] = reading
        self._clock.later(0.0, partial(self._read, reading))

    def _read(self, reading: _Reading) -> None:
        wanted = self._readings.get(reading.queue) is reading
        if not wanted or not self._connected or reading.consumer is not None:
            return
        reading.epoch = next(self._epochs)
        receive = partial(self._receive, reading, reading.epoch)
        consumer = Consumer(receive, reading.prefetch, reading.exclusive)
        if self._broker.consume(self.user, reading.queue, consumer) is None:
            reading.consumer = consumer
            reading.pauses.reset()
        else:
            pause = reading.pauses.next()
            reading.retry = self._clock.later(pause, partial(self._read, reading))

    def _receive(self, reading: _Reading, epoch: int, stored: Stored, tag: int) -> None:
        came = delivery(stored.message, reading.queue, tag=tag, epoch=epoch)
        came.redelivered = stored.redelivered
        reading.handler(came)

    def consumer_gone(self, queue: str) -> None:
        """The broker ended a consumer: its queue was deleted."""
        reading = self._readings.get(queue)
        if reading is not None and reading.consumer is not None:
            self._leave(reading)
            pause = reading.pauses.next()
            reading.retry = self._clock.later(pause, partial(self._read, reading))

    def _leave(self, reading: _Reading) -> None:
        consumer, reading.consumer, reading.epoch = reading.consumer, None, 0
        if reading.retry is not None:
            reading.retry.cancel()
        queue = self._broker.queues.get(reading.queue)
        if consumer is not None and queue is not None and consumer in queue.consumers:
            queue.remove(consumer)

    def cancel(self, queue: str) -> None:
        """Stop reading a queue; what was not acknowledged goes back to it."""
        reading = self._readings.pop(queue, None)
        if reading is not None:
            self._leave(reading)

    def ack(self, delivery: Delivery, *, multiple: bool = False) -> None:
        """Done with it; `multiple`: and with everything delivered before it from that queue."""
        consumer = self._given(delivery)
        if consumer is not None:
            self._broker.queues[delivery.queue].ack(consumer, delivery.tag, multiple=multiple)

    def reject(self, delivery: Delivery, *, requeue: bool = False) -> None:
        """Not done with it: drop it to the queue's dead-letter exchange, or requeue."""
        consumer = self._given(delivery)
        if consumer is not None:
            self._broker.queues[delivery.queue].reject(consumer, delivery.tag, requeue=requeue)

    def _given(self, delivery: Delivery) -> Consumer | None:
        """Who was given a delivery, unless it is of an earlier epoch."""
        reading = self._readings.get(delivery.queue)
        return reading.consumer if reading is not None and reading.epoch == delivery.epoch else None

    # --- time, and its life

    def now(self) -> Seconds:
        """The clock's time."""
        return self._clock.now()

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer:
        """Make a call after `delay` seconds."""
        return self._clock.later(max(0.0, delay), call)

    def call_threadsafe(self, call: Callable[[], None]) -> None:
        """Make a call as soon as may be. There is one thread alone here."""
        self._clock.later(0.0, call)

    def run(self) -> None:
        """Connect, and move the clock until `stop`. Raises ConfigError for an unknown user."""
        self.start()
        self._clock.run(lambda: self._stopped or self._failure is not None)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Disconnect in good order: what was published is given a moment to be confirmed."""
        if not self._stopping:
            self._stopping = True
            self._drain(self._clock.now() + min(self._timing.confirm, _GOODBYE))

    def _drain(self, deadline: Seconds) -> None:
        if self._sent and self._clock.now() < deadline:
            self._clock.later(0.01, partial(self._drain, deadline))
            return
        if self._retry is not None:
            self._retry.cancel()
        for queue in list(self._readings):
            self.cancel(queue)
        self._broker.disconnect(self)
        self._stopped = True
        self._become(Flow.DOWN, "stopped")
        self._close_channel()
        for key in list(self._declared):
            for done in self._declared.pop(key):
                done(Outcome.LOST)


def _nobody(_outcome: Outcome) -> None:
    """Nobody wants to know."""

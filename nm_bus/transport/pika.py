"""`PikaTransport`: the transport of the services, on pika's I/O loop, with mutual TLS.

The parts are elsewhere (`BrokerSession`, `Publisher`, `Reader`, `Declarer`); here they are put
together, and the state of the whole is reported. Reading and publishing can have a connection each:
the broker stops reading from a connection that it blocks, acknowledgements included.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

import pika
from pika.credentials import ExternalCredentials

from nm_bus.messages import Seconds
from nm_bus.settings import Broker, Timing, Tls, connects_to
from nm_bus.topology import Topology
from nm_bus.transport.base import (
    Answered,
    Changed,
    Consume,
    Delivery,
    Flow,
    Outgoing,
    Published,
    Status,
    Timer,
)
from nm_bus.transport.declarer import Declarer
from nm_bus.transport.diagnosis import diagnose
from nm_bus.transport.endpoints import Endpoints
from nm_bus.transport.lanes import DeclaringLanes
from nm_bus.transport.loop import Loop
from nm_bus.transport.publisher import Publisher
from nm_bus.transport.reader import Reader
from nm_bus.transport.reconnect import Pauses
from nm_bus.transport.session import BrokerSession
from nm_bus.transport.tls import client_context

_WORST_FIRST = (Flow.DOWN, Flow.CONNECTING, Flow.BLOCKED, Flow.UP)
_GOODBYE: Seconds = 3.0
"""How long the broker may take to answer a good-bye."""


class PikaTransport:
    """A transport to a RabbitMQ broker, as the user that the certificate names.

    It tries `brokers` in their order, and stays at the first that answers. `separate` gives
    publishing a connection of its own; then there is one broker. `random` gives numbers from 0
    to 1.
    """

    def __init__(
        self,
        *,
        brokers: Sequence[Broker],
        vhost: str,
        user: str,
        tls: Tls,
        timing: Timing,
        name: str,
        random: Callable[[], float],
        separate: bool = False,
    ) -> None:
        self._brokers, self._vhost = brokers, vhost
        self._user, self._tls, self._timing, self._name = user, tls, timing, name
        self._random = random
        self._loop = Loop()
        self._epochs = count(1)
        self._readers: dict[str, Reader] = {}
        self._listeners: list[Changed] = []
        self._stopping = False
        self._publisher = Publisher(self._loop, user, timing.confirm, self._pauses(), self._go_on)
        self._declarer, self._lanes = Declarer(self._loop, self._go_on), DeclaringLanes(self._loop)
        self._publishing = self._session("publishing" if separate else "", self._can_publish)
        self._reading = self._session("reading", self._can_read) if separate else self._publishing
        self._status = Status(Flow.CONNECTING, since=self._loop.now())

    # --- composition

    def _pauses(self) -> Pauses:
        return Pauses(self._timing.retry_first, self._timing.retry_most, self._random)

    def _session(self, task: str, opened: Callable[[pika.SelectConnection], None]) -> BrokerSession:
        return BrokerSession(
            self._loop,
            self._pauses(),
            Endpoints(self._brokers),
            parameters=partial(self._parameters, f"{self._name} {task}".strip()),
            diagnose=lambda error, where: diagnose(error, where, self._user),
            opened=opened,
            changed=self._tell,
        )

    def _parameters(self, name: str, broker: Broker) -> pika.ConnectionParameters:
        address, port = connects_to(broker)
        return pika.ConnectionParameters(
            host=address,
            port=port,
            virtual_host=self._vhost,
            credentials=ExternalCredentials(),
            heartbeat=self._timing.amqp_heartbeat,
            ssl_options=pika.SSLOptions(client_context(self._tls), broker.host),
            socket_timeout=self._timing.connect,
            stack_timeout=self._timing.connect,
            blocked_connection_timeout=None,
            client_properties={"connection_name": name},
            # without it, what the kernel has not got through delays the notice of a dead network
            tcp_options={"TCP_USER_TIMEOUT": 1000 * self._timing.amqp_heartbeat},
        )

    # --- state

    @property
    def status(self) -> Status:
        """The state now."""
        return self._status

    def on_status(self, changed: Changed) -> None:
        """Call `changed` at each change of state."""
        self._listeners.append(changed)

    def _tell(self) -> None:
        self._publisher.blocked = self._publishing.flow is Flow.BLOCKED
        if self._publishing.connection is None:
            self._declarer.lost()
            self._lanes.lost()
        flow, reason = self._state()
        if (flow, reason) != (self._status.flow, self._status.reason):
            self._status = Status(flow, reason, self._loop.now())
            for changed in self._listeners:
                self._loop.call(partial(changed, self._status))
        if self._stopping and self._publishing.ended and self._reading.ended:
            self._loop.stop()

    def _state(self) -> tuple[Flow, str]:
        """Give the state of the connection that is worse off.

        It is UP only when publishing works and what the program needs has been declared.
        """
        worst = min(
            (self._publishing, self._reading), key=lambda session: _WORST_FIRST.index(session.flow)
        )
        ready = self._publisher.ready and not self._declarer.busy
        if ready or worst.flow in (Flow.DOWN, Flow.CONNECTING):
            return worst.flow, worst.reason
        return self._status.flow, self._status.reason

    def _can_publish(self, connection: pika.SelectConnection) -> None:
        self._publisher.open(connection)
        self._declarer.open(connection)
        self._lanes.open(connection)

    def _can_read(self, _connection: pika.SelectConnection) -> None:
        self._read()

    def _go_on(self) -> None:
        self._tell()
        self._read()

    def _read(self) -> None:
        """Let all readers read, once what they may read from is declared and they can answer."""
        connection = self._reading.connection
        if connection is not None and self._publisher.ready and not self._declarer.busy:
            for reader in self._readers.values():
                reader.open(connection)

    # --- what a program asks for

    def now(self) -> Seconds:
        """Seconds since 1970 that never jump: the wall clock at start, steady from there on."""
        return self._loop.now()

    def declare(
        self, topology: Topology, done: Published | None = None, *, renew: bool = True
    ) -> None:
        """Declare all of it; `renew`: again after each reconnection, until the program ends."""
        if renew:
            self._declarer.declare(topology, done, renew=True)
        else:
            self._lanes.declare(topology, done)

    def publish(self, message: Outgoing, done: Published | None = None) -> None:
        """Send with a publisher confirm and tell the outcome once, within the confirm limit."""
        self._publisher.publish(message, done)

    def request(self, message: Outgoing, answered: Answered, *, timeout: Seconds) -> None:
        """Publish with direct reply-to; give the answer, or None when none came."""
        self._publisher.request(message, answered, timeout)

    def consume(
        self,
        queue: str,
        handler: Consume,
        *,
        prefetch: int = 100,
        exclusive: bool = False,
    ) -> None:
        """Read a queue from now on and after each reconnection. A queue is consumed once."""
        if queue in self._readers:
            raise ValueError(f"{queue} is consumed already")
        self._readers[queue] = Reader(
            self._loop,
            self._epochs,
            self._pauses(),
            queue,
            handler,
            prefetch=prefetch,
            exclusive=exclusive,
        )
        self._read()

    def cancel(self, queue: str) -> None:
        """Stop reading a queue; what was not acknowledged goes back to it."""
        reader = self._readers.pop(queue, None)
        if reader is not None:
            reader.cancel()

    def ack(self, delivery: Delivery, *, multiple: bool = False) -> None:
        """Done with it; `multiple`: and with everything delivered before it from that queue."""
        reader = self._readers.get(delivery.queue)
        if reader is not None:
            reader.ack(delivery, multiple=multiple)

    def reject(self, delivery: Delivery, *, requeue: bool = False) -> None:
        """Not done with it: drop it to the queue's dead-letter exchange, or requeue."""
        reader = self._readers.get(delivery.queue)
        if reader is not None:
            reader.reject(delivery, requeue=requeue)

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer:
        """Make a call on the loop after `delay` seconds."""
        return self._loop.later(delay, call)

    def call_threadsafe(self, call: Callable[[], None]) -> None:
        """Make a call on the loop as soon as may be; safe in signal handlers too."""
        self._loop.call_threadsafe(call)

    def point(self, brokers: Sequence[Broker]) -> None:
        """Leave the broker, and connect to the first of these that answers."""
        for session in self._sessions():
            session.point(brokers)

    # --- its life

    def _sessions(self) -> list[BrokerSession]:
        return list({id(s): s for s in (self._publishing, self._reading)}.values())

    def run(self) -> None:
        """Connect, and serve until `stop`; reconnect for ever, with bounded and jittered pauses.

        Raises ConfigError when no connection ever succeeded and trying again cannot help. It can
        be run once.
        """
        # pika writes a traceback for what is told here in one sentence
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        try:
            for session in self._sessions():
                session.open()
            self._loop.run()
        finally:
            self._leave()

    def stop(self) -> None:
        """End `run` in good order: what was published is given a moment to be confirmed."""
        if not self._stopping:
            self._stopping = True
            self._drain(self._loop.now() + min(self._timing.confirm, _GOODBYE))

    def _drain(self, deadline: Seconds) -> None:
        if self._publisher.waiting and self._loop.now() < deadline:
            self._loop.later(0.01, partial(self._drain, deadline))
            return
        self._loop.later(_GOODBYE, self._loop.stop)
        for session in self._sessions():
            session.close()
        self._tell()

    def _leave(self) -> None:
        """Leave no socket behind, whatever ended the loop."""
        try:
            for session in self._sessions():
                session.drop()
            if not all(session.ended for session in self._sessions()):
                self._stopping = True
                self._loop.run(limit=_GOODBYE)
            self._declarer.give_up()
            self._lanes.give_up()
        finally:
            self._loop.close()

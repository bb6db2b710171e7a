"""One connection that is made again whenever it is lost: a loop round pika's connection.

Its state is a Status with a reason. What happens on the connection is its owner's business.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pika

from nm_bus.errors import ConfigError
from nm_bus.settings import Broker
from nm_bus.transport.base import Flow
from nm_bus.transport.diagnosis import ConnectionFailure
from nm_bus.transport.endpoints import Endpoints
from nm_bus.transport.loop import Loop, LoopTimer
from nm_bus.transport.reader import DeliveryConnection
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)


class BrokerSession:
    """Connects, and connects again. `opened` and `changed` are called at each of their events.

    When no connection ever succeeded and trying again cannot help, the loop ends in ConfigError.
    """

    def __init__(
        self,
        loop: Loop,
        pauses: Pauses,
        endpoints: Endpoints,
        *,
        parameters: Callable[[Broker], pika.ConnectionParameters],
        diagnose: Callable[[BaseException, str], ConnectionFailure],
        opened: Callable[[pika.SelectConnection], None],
        changed: Callable[[], None],
    ) -> None:
        self._loop, self._pauses, self._endpoints = loop, pauses, endpoints
        self._parameters, self._diagnose = parameters, diagnose
        self._opened, self._changed = opened, changed
        self._connection: pika.SelectConnection | None = None
        self._retry: LoopTimer | None = None
        self._broker = endpoints.current
        self._is_reached = self._ever_open = False
        self._wanted = True
        self.flow, self.reason = Flow.CONNECTING, ""

    @property
    def connection(self) -> pika.SelectConnection | None:
        """The connection if it is open."""
        connection = self._connection
        return connection if connection is not None and connection.is_open else None

    @property
    def ended(self) -> bool:
        """Whether nothing is left of it."""
        return self._connection is None and self._retry is None

    def open(self) -> None:
        """Try to connect now. Raises ConfigError for a certificate's file, the first time."""
        self._retry = None
        try:
            parameters = self._parameters(self._endpoints.current)
        except ConfigError as error:
            if not self._ever_open:
                raise
            self._try_again(ConnectionFailure(str(error)))
            return
        self._is_reached, self._broker = False, self._endpoints.current
        self._connection = DeliveryConnection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
            custom_ioloop=self._loop.io,
        )

    def _on_open(self, connection: pika.SelectConnection) -> None:
        if self._is_elsewhere:
            connection.close()
            return
        self._is_reached = self._ever_open = True
        self._endpoints.reached()
        self._pauses.reset()
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._become(Flow.UP)
        self._loop.call(partial(self._opened, connection))

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        self._become(Flow.BLOCKED, str(frame.method.reason))

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._become(Flow.UP)

    def _on_lost(self, connection: pika.SelectConnection, error: Exception) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        if not self._wanted:
            self._become(Flow.DOWN, "stopped")
            return
        failure = self._diagnose(error, self._broker.where)
        if self._is_useless(failure) and not self._ever_open:
            self._loop.fail(failure.as_error())
        else:
            self._try_again(failure)

    @property
    def _is_elsewhere(self) -> bool:
        """Whether the endpoints point to another broker by now."""
        return self._broker is not self._endpoints.current

    def _is_useless(self, failure: ConnectionFailure) -> bool:
        """Whether trying again cannot help; one that was reached before is tried again first."""
        if self._is_reached or self._is_elsewhere:
            return False
        return self._endpoints.failed(failure.hopeless_after)

    def _try_again(self, failure: ConnectionFailure) -> None:
        pause = self._pauses.next()
        level = logging.DEBUG if failure.reason == self.reason else logging.WARNING
        LOGGER.log(level, "%s; again in %.1f s", failure.reason, pause)
        self._retry = self._loop.later(pause, partial(self._loop.call, self.open))
        self._become(Flow.DOWN, failure.reason)

    def _become(self, flow: Flow, reason: str = "") -> None:
        self.flow, self.reason = flow, reason
        self._loop.call(self._changed)

    def point(self, brokers: Sequence[Broker]) -> None:
        """Leave the broker, and connect to the first of these that answers."""
        self._endpoints.point(brokers)
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def close(self) -> None:
        """End it in good order; `ended` becomes true later, and `changed` is called."""
        self._wanted = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        connection = self._connection
        if connection is not None and not (connection.is_closing or connection.is_closed):
            connection.close()

    def drop(self) -> None:
        """End it without a word to the broker, which does not answer."""
        self.close()
        if self._connection is not None and self.flow in (Flow.UP, Flow.BLOCKED):
            # pika has no public way to leave a peer that does not answer
            self._connection._adapter_disconnect_stream()

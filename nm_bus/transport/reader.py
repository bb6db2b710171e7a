"""One consumer on a channel of its own, so that what the broker refuses it hurts no other.

It is opened again after each reconnection, and with growing pauses after a refusal. Each opening
is an epoch: acknowledgements of an earlier one go nowhere, since its tags mean nothing now.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pika
from pika.channel import Channel
from pika.exceptions import ChannelClosed

from nm_bus.transport.base import Consume, Delivery
from nm_bus.transport.loop import Loop, LoopTimer
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)


class Reader:
    """Reads one queue for as long as it is wanted."""

    def __init__(
        self,
        loop: Loop,
        epochs: Iterator[int],
        pauses: Pauses,
        queue: str,
        handler: Consume,
        *,
        prefetch: int,
        exclusive: bool,
    ) -> None:
        self._loop, self._epochs, self._pauses = loop, epochs, pauses
        self._queue, self._handler = queue, handler
        self._prefetch, self._exclusive = prefetch, exclusive
        self._channel: Channel | None = None
        self._epoch = 0
        self._wanted = True
        self._retry: LoopTimer | None = None

    def open(self, connection: pika.SelectConnection) -> None:
        """Start reading on a connection; harmless when it reads already."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._wanted and self._channel is None and connection.is_open:
            self._channel = connection.channel(on_open_callback=self._opened)
            self._channel.add_on_close_callback(self._closed)

    def _opened(self, channel: Channel) -> None:
        if not self._wanted:
            channel.close()
            return
        self._epoch = next(self._epochs)
        channel.add_on_cancel_callback(self._cancelled)
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(
            self._queue,
            self._receiver(),
            exclusive=self._exclusive,
            callback=lambda _: self._pauses.reset(),
        )

    def _receiver(self) -> Callable[[Channel, Any, pika.BasicProperties, bytes], None]:
        """Make the function that turns pika's words to a Delivery; it runs for each message."""
        queue, epoch, handler, fail = self._queue, self._epoch, self._handler, self._loop.fail

        def receive(
            _channel: Channel, method: Any, properties: pika.BasicProperties, body: bytes
        ) -> None:
            delivery = Delivery(
                body,
                method.exchange,
                method.routing_key,
                properties.user_id,
                queue,
                method.delivery_tag,
                epoch,
                method.redelivered,
                text(properties.reply_to),
                text(properties.correlation_id),
                properties.headers,
            )
            try:
                handler(delivery)
            except Exception as error:
                fail(error)
                raise

        return receive

    def _cancelled(self, _frame: Any) -> None:
        LOGGER.warning("%s: the broker ended the consumer; the queue was deleted", self._queue)
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def _closed(self, channel: Channel, reason: Exception) -> None:
        self._channel, self._epoch = None, 0
        connection = channel.connection
        if not self._wanted or not connection.is_open:
            return
        pause = self._pauses.next()
        why = reason.reply_text if isinstance(reason, ChannelClosed) else reason
        LOGGER.warning("%s: cannot be read: %s; again in %.1f s", self._queue, why, pause)
        self._retry = self._loop.later(pause, partial(self.open, connection))

    def cancel(self) -> None:
        """Stop reading; what was not acknowledged goes back to the queue."""
        self._wanted = False
        if self._retry is not None:
            self._retry.cancel()
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def ack(self, delivery: Delivery, *, multiple: bool) -> None:
        """Acknowledge, unless the delivery is of an earlier epoch."""
        channel = self._channel
        if channel is not None and channel.is_open and delivery.epoch == self._epoch:
            channel.basic_ack(delivery.tag, multiple)

    def reject(self, delivery: Delivery, *, requeue: bool) -> None:
        """Reject, unless the delivery is of an earlier epoch."""
        channel = self._channel
        if channel is not None and channel.is_open and delivery.epoch == self._epoch:
            channel.basic_reject(delivery.tag, requeue)


def text(value: str | bytes | None) -> str | None:
    """A property as text; pika leaves as bytes what is no UTF-8, and nobody can be answered so."""
    return value if isinstance(value, str) else None

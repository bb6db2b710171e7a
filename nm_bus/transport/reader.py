"""One consumer on a channel of its own, so that what the broker refuses it hurts no other.

It is opened again after each reconnection, and with growing pauses after a refusal. Each opening
is an epoch: acknowledgements of an earlier one go nowhere, since its tags mean nothing now.
"""

import logging
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pika
from pika import frame, spec
from pika.channel import Channel
from pika.exceptions import ChannelClosed, InvalidFieldTypeException
from pika.frame import Frame, Header, ProtocolHeader, decode_frame
from pika.spec import FRAME_END, FRAME_HEADER, BasicProperties

from nm_bus.codec import Reason
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


# --- Frames as pika reads them, but for message headers that pika cannot read, or not fast.
#
# Whoever may publish may send a time in the year 146 billion, or tables within tables within
# tables. The broker passes them on; pika fails on them, the connection is lost, the message comes
# again, and so for ever: one message would make a service deaf. And a hundred thousand small
# values take pika so long that a few such messages hold up all others, before any limit on their
# sender counts.

LONG = 4_096
"""The longest content header, in bytes, whose table is read; the broker's own are far shorter."""

UNREADABLE_AS = (
    ValueError,
    ArithmeticError,
    OSError,
    RecursionError,
    struct.error,
    InvalidFieldTypeException,
)
"""How pika fails on headers."""

_FRAME, _CONTENT = struct.Struct(">BHL"), struct.Struct(">HHQ")


def read_frame(data: bytes) -> "tuple[int, Frame | ProtocolHeader | None]":
    """Read the first frame of some bytes, as pika does; give its length too, 0 when it is cut."""
    if _is_long(data):
        return _without_headers(data)
    try:
        return decode_frame(data)  # type: ignore[no-any-return]
    except UNREADABLE_AS:
        if data[0] != FRAME_HEADER:
            raise
        return _without_headers(data)


def _is_long(data: bytes) -> bool:
    """Whether a whole content header is there that is too long; what is none is for pika to say."""
    if data[0] != FRAME_HEADER or len(data) < _FRAME.size:
        return False
    size: int = _FRAME.unpack_from(data)[2]
    end = _FRAME.size + size
    return size > LONG and len(data) > end and data[end] == FRAME_END


def _without_headers(data: bytes) -> tuple[int, Header]:
    """Read a content header's frame, with a note in the place of the table that fails."""
    _, channel, size = _FRAME.unpack_from(data)
    content = data[_FRAME.size : _FRAME.size + size]
    _, _, body_size = _CONTENT.unpack_from(content)
    properties = BasicProperties()
    properties.decode(_cut(content[_CONTENT.size :]))
    properties.headers = {str(Reason.UNREADABLE_HEADERS): True}
    return _FRAME.size + size + 1, Header(channel, body_size, properties)


def _cut(encoded: bytes) -> bytes:
    """Encoded properties without their table, which follows two short strings."""
    (flags,) = struct.unpack_from(">H", encoded)
    if not flags & BasicProperties.FLAG_HEADERS:
        return encoded
    start = 2
    for flag in (BasicProperties.FLAG_CONTENT_TYPE, BasicProperties.FLAG_CONTENT_ENCODING):
        if flags & flag:
            start += 1 + encoded[start]
    (length,) = struct.unpack_from(">I", encoded, start)
    kept = struct.pack(">H", flags & ~BasicProperties.FLAG_HEADERS)
    return kept + encoded[2:start] + encoded[start + 4 + length :]


# --- pika's connection with a shorter way for deliveries, which are most of what a service reads.
#
# A delivery is three frames, and pika takes each through a dozen calls: far more than all that an
# ingest process does with the message. Here the three are read as one where they lie side by side.
# Whatever else comes, a large body or long headers too, goes pika's own way, and whose it is the
# channel decides.

LARGE = 65_536
"""Bodies from here on come in parts that pika gathers better."""

_DELIVER = struct.pack(">I", spec.Basic.Deliver.INDEX)
_frame_head = struct.Struct(">BHL").unpack_from
_content_head = struct.Struct(">BHLHHQ").unpack_from
_arguments = struct.Struct(">QB").unpack_from

_HEAD = spec.FRAME_HEADER_SIZE
_AROUND = spec.FRAME_HEADER_SIZE + spec.FRAME_END_SIZE
_METHOD = slice(_HEAD, _HEAD + 4)
_PROPERTIES = _HEAD + struct.calcsize(">HHQ")

INCOMPLETE = (0, None)
"""What pika's reading of a frame answers when more bytes must come first."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The three frames of a delivery."""

    channel: int
    method: frame.Method
    header: frame.Header
    body: bytes


READ_AT_ONCE = 16_384
"""Bytes of one reading: a whole TLS record. pika's 4 KiB cut every seventh small message in two."""


class DeliveryConnection(pika.SelectConnection):  # type: ignore[misc]  # it has no type hints
    """A connection that reads many small messages with little work."""

    def _proto_connection_made(self, transport: Any) -> None:
        transport._MAX_RECV_BYTES = READ_AT_ONCE
        super()._proto_connection_made(transport)

    def _read_frame(self) -> tuple[int, Delivered | frame.Frame | None]:
        buffer: bytes = self._frame_buffer
        if buffer[0] == spec.FRAME_METHOD and buffer[_METHOD] == _DELIVER:
            try:
                read = read_delivery(buffer)
            except UNREADABLE_AS:
                read = None
            if read is not None:
                return read
        return read_frame(buffer)

    def _process_frame(self, value: Delivered | frame.Frame) -> None:
        if type(value) is not Delivered:
            super()._process_frame(value)
            return
        self.frames_received += 3
        channel = self._channels.get(value.channel)
        if channel is not None:
            channel._on_deliver(value.method, value.header, value.body)


def read_delivery(buffer: bytes) -> tuple[int, Delivered | None] | None:
    """Read the delivery that a buffer begins with: the bytes it took, and the delivery.

    INCOMPLETE when not all of it is there; None when it is not of three plain frames. Raises what
    pika raises on headers that it cannot read.
    """
    _, channel, length = _frame_head(buffer)
    header = length + _AROUND
    if len(buffer) < header + _PROPERTIES:
        return INCOMPLETE
    kind, _, header_length, _, _, size = _content_head(buffer, header)
    body = header + header_length + _AROUND
    end = body + size + _AROUND
    if kind != spec.FRAME_HEADER or header_length > LONG or not 0 < size < LARGE:
        return None
    if len(buffer) < end:
        return INCOMPLETE
    if _frame_head(buffer, body) != (spec.FRAME_BODY, channel, size):
        return None
    if not buffer[header - 1] == buffer[body - 1] == buffer[end - 1] == spec.FRAME_END:
        return None
    properties = spec.BasicProperties()
    properties.decode(buffer[header + _PROPERTIES : body - 1])
    return end, Delivered(
        channel,
        frame.Method(channel, _method(buffer)),
        frame.Header(channel, size, properties),
        buffer[body + _HEAD : end - 1],
    )


def _method(buffer: bytes) -> spec.Basic.Deliver:
    method = spec.Basic.Deliver()
    method.consumer_tag, at = _short_text(buffer, _METHOD.stop)
    method.delivery_tag, flags = _arguments(buffer, at)
    method.redelivered = bool(flags & 1)
    method.exchange, at = _short_text(buffer, at + 9)
    method.routing_key, _ = _short_text(buffer, at)
    return method


def _short_text(buffer: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + buffer[at]
    return buffer[at + 1 : end].decode(), end

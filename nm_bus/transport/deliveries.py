"""pika's connection with a shorter way for deliveries, which are most of what a service reads.

A delivery is three frames, and pika takes each through a dozen calls: far more than all that an
ingest process does with the message. Here the three are read as one where they lie side by side.
Whatever else comes, a large body or long headers too, goes pika's own way, and whose it is the
channel decides.
"""

import struct
from dataclasses import dataclass
from typing import Any

import pika
from pika import frame, spec

from nm_bus.transport.frames import LONG, UNREADABLE_AS, read_frame

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

"""Frames as pika reads them, but for message headers that pika cannot read, or not fast.

Whoever may publish may send a time in the year 146 billion, or tables within tables within tables.
The broker passes them on; pika fails on them, the connection is lost, the message comes again, and
so for ever: one message would make a service deaf. And a hundred thousand small values take pika
so long that a few such messages hold up all others, before any limit on their sender counts.
"""

import struct

from pika.exceptions import InvalidFieldTypeException
from pika.frame import Frame, Header, ProtocolHeader, decode_frame
from pika.spec import FRAME_END, FRAME_HEADER, BasicProperties

from nm_bus.codec import Reason

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

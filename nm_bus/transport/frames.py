"""Frames as pika reads them, but for message headers that pika cannot read.

Whoever may publish may send a time in the year 146 billion, or tables within tables within tables.
The broker passes them on; pika fails on them, the connection is lost, the message comes again, and
so for ever: one message would make a service deaf.
"""

import struct

from pika.exceptions import InvalidFieldTypeException
from pika.frame import Frame, Header, ProtocolHeader, decode_frame
from pika.spec import FRAME_HEADER, BasicProperties

UNREADABLE = "unreadable-headers"
"""The header that stands for those that could not be read."""

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
    try:
        return decode_frame(data)  # type: ignore[no-any-return]
    except UNREADABLE_AS:
        if data[0] != FRAME_HEADER:
            raise
        return _without_headers(data)


def _without_headers(data: bytes) -> tuple[int, Header]:
    """Read a content header's frame, with a note in the place of the table that fails."""
    _, channel, size = _FRAME.unpack_from(data)
    content = data[_FRAME.size : _FRAME.size + size]
    _, _, body_size = _CONTENT.unpack_from(content)
    properties = BasicProperties()
    properties.decode(_cut(content[_CONTENT.size :]))
    # they may hide a CC header, which sends copies: so they count as one
    properties.headers = {UNREADABLE: True, "CC": []}
    return _FRAME.size + size + 1, Header(channel, body_size, properties)


def _cut(encoded: bytes) -> bytes:
    """Encoded properties without their table, which follows two short strings."""
    (flags,) = struct.unpack_from(">H", encoded)
    start = 2
    for flag in (BasicProperties.FLAG_CONTENT_TYPE, BasicProperties.FLAG_CONTENT_ENCODING):
        if flags & flag:
            start += 1 + encoded[start]
    (length,) = struct.unpack_from(">I", encoded, start)
    kept = struct.pack(">H", flags & ~BasicProperties.FLAG_HEADERS)
    return kept + encoded[2:start] + encoded[start + 4 + length :]

"""Deliveries that are read at once are the deliveries that pika would have read."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import __version__ as pika_version
from pika import frame, spec
from pika.callback import CallbackManager
from pika.exceptions import InvalidFrameError

from nm_bus.codec import Reason
from nm_bus.transport.reader import LARGE, DeliveryConnection, read_delivery

FRAME_MAX = 131_072

FITTING = ("1.4.",)
"""The releases of pika whose reading was compared with ours, by everything below."""


def test_pika_is_of_a_release_that_the_reading_was_made_for() -> None:
    """For another one read its `connection.py` and `channel.py` first; then `FITTING` and the
    bound in pyproject.toml may have it too."""
    assert pika_version.startswith(FITTING)


class Heard:
    """A channel that remembers what it is given, by whichever way it came."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, ...]] = []
        self.at_once = 0
        self._parts: list[Any] = []

    def _on_deliver(self, method: frame.Method, header: frame.Header, body: bytes) -> None:
        self.at_once += 1
        self._remember(method, header, body)

    def _handle_content_frame(self, value: Any) -> None:
        self._parts.append(value)
        method, header, *bodies = (*self._parts, None)[:2] + tuple(self._parts[2:])
        body = b"".join(part.fragment for part in bodies)
        if header is not None and len(body) == header.body_size:
            self._parts = []
            self._remember(method, header, body)

    def _remember(self, method: frame.Method, header: frame.Header, body: bytes) -> None:
        said = vars(method.method)
        self.messages.append((method.channel_number, said, vars(header.properties), body))


class Wire(DeliveryConnection):
    """A connection without a socket."""

    def __init__(self, **channels: Heard) -> None:
        self._channels = {int(name[1:]): channel for name, channel in channels.items()}
        self._frame_buffer = b""
        self.bytes_received = self.frames_received = 0
        self.callbacks = CallbackManager()
        self._heartbeat_checker = None


def delivery(
    body: bytes, *, tag: int = 1, user: str | None = "n1.example.org", header: str = ""
) -> bytes:
    method = spec.Basic.Deliver("ctag1.ü", tag, tag % 2 == 0, "heartbeat", "org.example.n1")
    properties = spec.BasicProperties(
        content_type="application/json",
        user_id=user,
        headers={"x": header or [1, "y"]},
    )
    bodies = [body[n : n + FRAME_MAX - 8] for n in range(0, len(body), FRAME_MAX - 8)]
    frames = [frame.Method(1, method), frame.Header(1, len(body), properties)]
    return b"".join(part.marshal() for part in [*frames, *(frame.Body(1, b) for b in bodies)])


def read(data: bytes, cuts: list[int]) -> tuple[Wire, Heard]:
    heard = Heard()
    wire = Wire(c1=heard)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        wire._on_data_available(data[start:end])
    return wire, heard


def test_a_delivery_is_read_at_once() -> None:
    wire, heard = read(delivery(b"beat"), [])
    ((channel, said, properties, body),) = heard.messages
    assert heard.at_once == 1
    assert (channel, body, properties["user_id"]) == (1, b"beat", "n1.example.org")
    assert said["routing_key"] == "org.example.n1"
    assert wire.frames_received == 3


@given(
    st.lists(st.binary(max_size=300), max_size=6),
    st.lists(st.integers(min_value=0), max_size=12),
)
def test_however_the_bytes_are_cut_nothing_is_lost_or_changed(
    bodies: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(delivery(body, tag=n) for n, body in enumerate(bodies, 1))
    wire, heard = read(data, cuts)
    assert [message[-1] for message in heard.messages] == bodies
    assert [message[1]["delivery_tag"] for message in heard.messages] == [
        n for n, _ in enumerate(bodies, 1)
    ]
    assert wire.bytes_received == len(data)
    assert not wire._frame_buffer


def test_it_is_what_pika_reads() -> None:
    data = delivery(b"beat", tag=2, user=None)
    _, heard = read(data, [])
    usual, at = Heard(), 0
    while at < len(data):
        used, value = frame.decode_frame(data[at:])
        usual._handle_content_frame(value)
        at += used
    assert heard.messages == usual.messages


@pytest.mark.parametrize("size", [0, LARGE - 1, LARGE, 3 * FRAME_MAX])
def test_empty_and_large_bodies_arrive_among_small_ones(size: int) -> None:
    body = b"x" * size
    _, heard = read(delivery(b"a") + delivery(body) + delivery(b"b"), [1000, 70_000])
    assert [message[-1] for message in heard.messages] == [b"a", body, b"b"]


@pytest.mark.parametrize("size", [1, 1000, LARGE])
def test_the_headers_of_a_delivery_are_not_read_when_they_are_long(
    size: int, tables_read: list[bytes]
) -> None:
    body = b"x" * size
    _, heard = read(delivery(b"a") + delivery(body, header="y" * 100_000) + delivery(b"b"), [50])
    assert [message[-1] for message in heard.messages] == [b"a", body, b"b"]
    before, long, after = [message[2] for message in heard.messages]
    assert before["headers"] == after["headers"] == {"x": [1, "y"]}
    assert long["headers"] == {Reason.UNREADABLE_HEADERS: True}
    assert long["user_id"] == "n1.example.org"
    assert len(tables_read) == 2
    assert heard.at_once == 2


def test_other_frames_between_deliveries_go_pikas_own_way() -> None:
    acknowledged = frame.Method(1, spec.Basic.Ack(7)).marshal()
    heard = Heard()
    acks: list[Any] = []
    wire = Wire(c1=heard)
    wire.callbacks.add(1, spec.Basic.Ack, acks.append, one_shot=False)
    wire._on_data_available(delivery(b"a") + acknowledged + delivery(b"b"))
    assert [message[-1] for message in heard.messages] == [b"a", b"b"]
    assert [value.method.delivery_tag for value in acks] == [7]


def test_a_frame_without_its_end_is_refused_as_pika_does() -> None:
    broken = bytearray(delivery(b"beat"))
    broken[-1] = 0
    assert read_delivery(bytes(broken)) is None
    with pytest.raises(InvalidFrameError):
        read(bytes(broken), [])


def test_a_delivery_for_a_channel_that_is_gone_is_dropped() -> None:
    wire = Wire()
    wire._on_data_available(delivery(b"beat"))
    assert not wire._frame_buffer

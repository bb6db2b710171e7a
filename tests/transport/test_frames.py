"""No message is poison: headers that pika cannot read lose nothing but themselves."""

import struct

import pika
import pytest
from pika.exceptions import InvalidFrameError
from pika.frame import Header
from pika.spec import FRAME_HEADER, BasicProperties

from nm_broker.testing.sandbox import Sandbox
from nm_bus.codec import Reason
from nm_bus.core.admission import refused_headers
from nm_bus.identity.role import Role
from nm_bus.topology import Binding, Exchange, Queue, Topology
from nm_bus.transport.base import REPLY_PREFIX, Delivery, Flow, Outcome, Outgoing
from nm_bus.transport.reader import LONG, read_frame
from tests.transport.test_pika import USER, at, running, until

_encode_value = pika.data.encode_value

TOO_LATE = b"T" + struct.pack(">Q", 2**62)


def nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


MANY = b"A" + struct.pack(">I", 100_000) + b"V" * 100_000

POISONS = {
    "a time that no calendar has": TOO_LATE,
    "arrays without end": nested(5_000),
    "more values than can be read in time": MANY,
}


@pytest.fixture(params=POISONS)
def poison(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> BasicProperties:
    """Properties whose headers pika writes as we say, and cannot read."""
    monkeypatch.setattr("pika.data.encode_value", _as_they_are)
    return BasicProperties(
        content_type="text/plain",
        content_encoding="utf-8",
        headers={"x": POISONS[request.param]},
        user_id=USER,
        correlation_id="7",
    )


def _as_they_are(pieces: list[bytes], value: object) -> int:
    if not isinstance(value, bytes):
        return int(_encode_value(pieces, value))
    pieces.append(value)
    return len(value)


def test_headers_that_cannot_be_read_lose_nothing_but_themselves(poison: BasicProperties) -> None:
    written = Header(3, 42, poison).marshal()
    length, frame = read_frame(written + b"more")
    assert length == len(written)
    assert isinstance(frame, Header)
    assert (frame.channel_number, frame.body_size) == (3, 42)
    read = frame.properties
    assert (read.content_type, read.content_encoding) == ("text/plain", "utf-8")
    assert (read.user_id, read.correlation_id) == (USER, "7")
    refusal = refused_headers(read.headers)
    assert refusal is not None
    assert refusal.reason is Reason.UNREADABLE_HEADERS


def of_length(length: int) -> bytes:
    """A content header's frame of so many bytes, with a table."""
    empty = len(Header(3, 42, BasicProperties(headers={"x": ""}, user_id=USER)).marshal()) - 8
    properties = BasicProperties(headers={"x": "y" * (length - empty)}, user_id=USER)
    return bytes(Header(3, 42, properties).marshal())


@pytest.mark.parametrize(("length", "reads"), [(LONG, 1), (LONG + 1, 0)])
def test_a_long_table_of_headers_is_not_read_at_all(
    length: int, reads: int, tables_read: list[bytes]
) -> None:
    _, frame = read_frame(of_length(length))
    assert isinstance(frame, Header)
    assert len(tables_read) == reads
    assert (refused_headers(frame.properties.headers) is None) is bool(reads)
    assert frame.properties.user_id == USER


def test_what_is_long_without_a_table_keeps_its_properties() -> None:
    properties = Header(3, 42, BasicProperties(user_id=USER)).marshal()[7:-1]
    content = properties + b"\0" * LONG
    data = struct.pack(">BHL", FRAME_HEADER, 3, len(content)) + content + b"\xce"
    length, frame = read_frame(data)
    assert isinstance(frame, Header)
    assert (length, frame.properties.user_id) == (len(data), USER)


def test_a_long_header_without_its_end_is_refused_as_pika_does() -> None:
    with pytest.raises(InvalidFrameError):
        read_frame(of_length(2 * LONG)[:-1] + b"\0")


def test_half_a_frame_is_waited_for(poison: BasicProperties) -> None:
    assert read_frame(Header(3, 42, poison).marshal()[:-1]) == (0, None)


@pytest.mark.broker
def test_one_message_does_not_make_a_service_deaf(broker: Sandbox, poison: BasicProperties) -> None:
    tls = broker.grant(Role.SUPERNODE, USER)
    broker.declare(Topology((Exchange("x"),), (Queue("q"),), (Binding("x", "q"),)))
    came: list[Delivery] = []
    subject = at(broker, tls)
    subject.consume("q", came.append)
    with running(subject):
        until(lambda: subject.status.flow is Flow.UP)
        with pika.BlockingConnection(broker.parameters(tls)) as connection:
            channel = connection.channel()
            channel.basic_publish("x", "k", b"poison", poison)
            strange = BasicProperties(reply_to=b"\xff\xfe", correlation_id=b"\xff")
            channel.basic_publish("x", "k", b"strange", strange)
        until(lambda: len(came) == 2)
    assert [each.body for each in came] == [b"poison", b"strange"]
    assert (came[1].reply_to, came[1].correlation_id) == (None, None)
    assert not came[0].redelivered


@pytest.mark.broker
def test_an_answer_to_a_made_up_address_does_not_reach_the_broker(broker: Sandbox) -> None:
    subject = at(broker, broker.grant(Role.SUPERNODE, USER))
    outcomes: list[Outcome] = []
    answer = Outgoing("", f"{REPLY_PREFIX}g2gB.x", b"answer")
    with running(subject):
        until(lambda: subject.status.flow is Flow.UP)
        since = subject.status.since
        subject.call_threadsafe(lambda: subject.publish(answer, outcomes.append))
        until(lambda: len(outcomes) == 1)
        assert (subject.status.flow, subject.status.since) == (Flow.UP, since)
    assert outcomes == [Outcome.REFUSED]

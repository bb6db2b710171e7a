"""What the codec promises: a message comes back as it was sent, and no bytes can hurt a reader."""

import base64
import copy
import hashlib
import random
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nm_bus import codec
from nm_bus.codec import DEPTH, LONG, Reason, Rejected, decode, encode, quarantine, read
from nm_bus.contracts import validator
from nm_bus.explain import checker
from nm_bus.messages import (
    Ask,
    Check,
    CheckStatus,
    Event,
    Heartbeat,
    Hello,
    Message,
    Metrics,
    message_type,
)
from nm_bus.protocol import MESSAGES
from nm_bus.testing.generated import data, messages
from nm_bus.topology import PEER_BYTES, PRINCIPAL_BYTES

NODE = "esgf-node1.llnl.gov"
NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, UTC)
CHECK = Check("disk", CheckStatus.OK, "DISK OK", 1_795_000_000.0)
BEAT = Heartbeat("life-1", 4711, 5.0, 60.0, "nm-bus/0.1.0", (CHECK,))

by_class = pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
slowly = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def sent(message: Message = BEAT) -> bytes:
    return encode(message, source=NODE, id="id-1", time=NOON.timestamp())


def with_envelope(kind: type[Message], body: Any) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.json.decode(sent())
    return event | {"type": message_type(kind), "data": body}


def refused(body: bytes) -> Rejected:
    rejected = decode(body)
    assert isinstance(rejected, Rejected)
    return rejected


# --- there and back ------------------------------------------------------------------------


def test_an_event_says_who_what_and_when() -> None:
    event = decode(sent())
    assert event == Event("id-1", NODE, "nm.heartbeat.v1", NOON, BEAT)


def test_what_is_sent_is_a_structured_cloudevent() -> None:
    event = msgspec.json.decode(sent())
    assert event["specversion"] == "1.0"
    assert event["time"] == "2026-11-21T12:00:00.250000Z"
    assert event["datacontenttype"] == "application/json"
    assert "subject" not in event


@by_class
@slowly
@given(drawn=st.data())
def test_every_message_within_its_limits_comes_back_equal(
    kind: type[Message], drawn: st.DataObject
) -> None:
    message = drawn.draw(messages(kind))
    event = decode(sent(message), limit=PEER_BYTES)
    assert isinstance(event, Event), event
    assert event.data == message


def test_attributes_of_later_versions_are_ignored() -> None:
    event = with_envelope(Heartbeat, msgspec.to_builtins(BEAT) | {"mood": {"good": [1, 2]}})
    decoded = decode(msgspec.json.encode(event | {"traceparent": "00-1"}))
    assert isinstance(decoded, Event)
    assert decoded.data == BEAT


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    event = decode(sent().replace(b'"sequence":4711', b'"sequence":4711.0'))
    assert isinstance(event, Event)
    assert event.data == BEAT


def test_of_two_equal_keys_the_last_counts() -> None:
    event = decode(sent().replace(b'"sequence":4711', b'"sequence":0,"sequence":4711'))
    assert isinstance(event, Event)
    assert event.data == BEAT


# --- what is refused, and why --------------------------------------------------------------

LEVELS = 100_000
ENVELOPE = b'{"specversion":"1.0","id":"1","source":"n","type":"%s","time":"%s","data":{}}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"heartbeat", Reason.NOT_JSON),
        (b"\xef\xbb\xbf" + sent(), Reason.NOT_JSON),
        (sent()[:-1], Reason.NOT_JSON),
        (sent() + b"x", Reason.NOT_JSON),
        (sent().replace(b"4711", b"NaN"), Reason.NOT_JSON),
        (sent().replace(b"4711", b"-Infinity"), Reason.NOT_JSON),
        (sent().replace(b"DISK OK", b"\xff\xfe"), Reason.NOT_JSON),
        (sent().replace(b"DISK OK", b"\xed\xa0\x80"), Reason.NOT_JSON),
        (sent().replace(b"DISK OK", b"\\ud800"), Reason.NOT_JSON),
        (sent().replace(b"DISK OK", b"\\ud800\\u0041"), Reason.NOT_JSON),
        (b"[" * LEVELS, Reason.TOO_DEEP),
        (b'{"a":' * 1500 + b"1" + b"}" * 1500, Reason.TOO_DEEP),
        (b"[" * (DEPTH + 2) + b"]" * (DEPTH + 2), Reason.TOO_DEEP),
        (b"null", Reason.NO_CLOUDEVENT),
        (b"[]", Reason.NO_CLOUDEVENT),
        (b"{}", Reason.NO_CLOUDEVENT),
        (b'{"type":"nm.heartbeat.v1"}', Reason.NO_CLOUDEVENT),
        (b'{"specversion":"1.0","type":["nm.heartbeat.v1"]}', Reason.NO_CLOUDEVENT),
        (sent().replace(b'"1.0"', b'"0.3"'), Reason.NO_CLOUDEVENT),
        (ENVELOPE % (b"org.example.other", b"-"), Reason.UNKNOWN_TYPE),
        (ENVELOPE % (b"nm.unheard.v1", b"-"), Reason.UNKNOWN_TYPE),
        (ENVELOPE % (b"nm.heartbeat", b"-"), Reason.UNKNOWN_TYPE),
        (ENVELOPE % (b"nm.heartbeat.v2", b"-"), Reason.UNKNOWN_VERSION),
        (sent().replace(b"4711", b"0"), Reason.INVALID),
        (sent().replace(b"4711", b"9" * 30), Reason.INVALID),
        (sent().replace(b"4711", b"9" * 5000), Reason.INVALID),
        (sent().replace(b"4711", b"1e400"), Reason.INVALID),
        (sent().replace(b"60.0", b"1" + b"0" * 310), Reason.INVALID),
        (sent().replace(b"2026-11-21", b"2026-02-30"), Reason.INVALID),
        (sent().replace(b"llnl.gov", b"llnl.gov\\n"), Reason.INVALID),
    ],
)
def test_a_bad_message_is_refused_with_its_reason(body: bytes, reason: Reason) -> None:
    rejected = refused(body)
    assert rejected.reason is reason
    assert rejected.detail


def test_a_message_over_the_limit_is_not_even_read() -> None:
    assert refused(b"{" * (PRINCIPAL_BYTES + 1)).reason is Reason.TOO_LARGE
    assert refused(b"[" * PRINCIPAL_BYTES).reason is Reason.TOO_DEEP


def test_many_brackets_side_by_side_are_not_deep() -> None:
    checks = tuple(Check(f"check{n}", CheckStatus.OK) for n in range(DEPTH * 2))
    assert isinstance(decode(sent(msgspec.structs.replace(BEAT, checks=checks))), Event)


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        (b"4711", b"0", "data.sequence: 0 is less than the minimum of 1"),
        (b'"ok"', b'"fine"', "data.checks.0.status: 'fine' is not one of"),
        (b'"id":"id-1",', b"", "'id' is a required property"),
        (b"2026-11-21", b"2026-02-30", "time: Invalid RFC3339 encoded datetime"),
    ],
)
def test_the_detail_names_the_field(old: bytes, new: bytes, detail: str) -> None:
    assert refused(sent().replace(old, new)).detail.startswith(detail)


def test_a_detail_stays_short_and_printable_whatever_it_quotes() -> None:
    event = with_envelope(Metrics, {"incarnation": "a", "sequence": 1, "age": 0})
    event["data"]["values"] = {"a\n\x1b[31m" * 5000: None}
    detail = refused(msgspec.json.encode(event)).detail
    assert len(detail) <= 300
    assert detail.isprintable()


def test_a_value_that_json_cannot_hold_is_refused_by_the_reader() -> None:
    body = sent(Metrics("life-1", 1, 0.0, {"host.load.1m": float("nan")}))
    assert "host.load.1m" in refused(body).detail


# --- the two validators ---------------------------------------------------------------------

NUMBERS = [True, -1, 0, 1.0, 1.5, 2**53, 2**53 - 1, 2**63, 2**64, 10**30, 1e308, -0.0]
TEXTS = ["", "a\n", "\n", "a" * 300, "é", "\x00", "ok", "1.0", "2026-11-21T12:00:00Z"]
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, *NUMBERS, *TEXTS, [], {}, [[]], {"": None}, [1] * 6, {"a b": 1}]
).map(copy.deepcopy)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [place for key, child in items for place in [(value, key), *places(child)]]


def spoiled(event: dict[str, Any], drawn: st.DataObject) -> dict[str, Any]:
    """The event with a few things replaced, removed or added."""
    event = copy.deepcopy(event)
    for _ in range(drawn.draw(st.integers(1, 3))):
        found = places(event)
        if not found:
            break
        container, key = drawn.draw(st.sampled_from(found))
        if drawn.draw(st.booleans()):
            container[key] = drawn.draw(JUNK)
        elif isinstance(container, dict) and drawn.draw(st.booleans()):
            container[drawn.draw(st.text(max_size=5))] = container.pop(key)
        else:
            del container[key]
    return event


@by_class
@slowly
@given(drawn=st.data())
def test_both_validators_give_the_same_verdict(kind: type[Message], drawn: st.DataObject) -> None:
    path = f"{kind.__name__.lower()}/v1.json"
    whole = with_envelope(kind, drawn.draw(data(path)))
    broken = spoiled(whole, drawn)
    assert validator(kind).is_valid(whole)
    for event in (whole, broken):
        assert validator(kind).is_valid(event) == checker(kind).is_valid(event)


# --- nothing stops a reader -----------------------------------------------------------------


@settings(max_examples=2000, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(decode(body), Event | Rejected)


@by_class
@slowly
@given(drawn=st.data())
def test_no_spoiled_message_raises(kind: type[Message], drawn: st.DataObject) -> None:
    whole = with_envelope(kind, drawn.draw(data(f"{kind.__name__.lower()}/v1.json")))
    decoded = decode(msgspec.json.encode(spoiled(whole, drawn)))
    assert isinstance(decoded, Event | Rejected)


PIECES = [b"", b"[", b"{", b'"', b"\\", b"\\ud800", b"\xff", b"\x00", b"-", b"e999", b"1" * 400]
PIECES += [b"null", b"NaN", b"true", b"[[[[" * 200, b'{"a":' * 200, b"}", b",", b"\xed\xa0\x80"]


def mutated(body: bytes, chance: random.Random) -> bytes:
    """The bytes with some of them replaced, removed, doubled or swapped."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.choice((0, 1, 1, 2, 8, 64)))
        piece = chance.choice([*PIECES, bytes([chance.randrange(256)]), body[start:end] * 2])
        body = body[:start] + piece + body[end:]
    return body


def test_twelve_thousand_mutated_messages_raise_nothing() -> None:
    chance = random.Random(20_261_121)
    originals = [sent(), sent(Hello()), sent(Metrics("a", 1, 0.0, {"disk.used[/]": 1.5}))]
    reasons = set()
    for _ in range(12_000):
        decoded = decode(mutated(chance.choice(originals), chance))
        assert isinstance(decoded, Event | Rejected)
        reasons.add(decoded.reason if isinstance(decoded, Rejected) else "taken")
    assert {"taken", Reason.NOT_JSON, Reason.INVALID, Reason.NO_CLOUDEVENT} <= reasons


def test_a_reader_that_is_sent_no_nonsense_never_loads_jsonschema() -> None:
    program = (
        "import sys; from nm_bus.codec import decode, encode; from nm_bus.messages import Hello;"
        "decode(encode(Hello(), source='a.b', id='1', time=0.0));"
        "sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


# --- quarantine -----------------------------------------------------------------------------


def test_quarantine_keeps_the_first_four_kib_and_the_hash_of_all() -> None:
    body = bytes(range(256)) * 40
    record = quarantine(
        body, reason="not-json", detail="x" * 2000, who=None, exchange="heartbeat", key="gov.llnl"
    )
    assert base64.b64decode(record.first) == body[:4096]
    assert record.sha256 == hashlib.sha256(body).hexdigest()
    assert (record.size, record.who, record.exchange) == (10_240, "", "heartbeat")


def test_a_quarantine_record_is_itself_a_valid_message() -> None:
    rejected = refused(b"\xff" * 5000)
    record = quarantine(
        b"\xff" * 5000,
        reason=rejected.reason,
        detail=rejected.detail,
        who="é" * 300,
        exchange="",
        key="#" * 255,
    )
    assert isinstance(decode(sent(record)), Event)


def test_a_message_of_one_kind_is_read_without_its_schema() -> None:
    ask = Ask("r1", "n1.llnl.gov", "status")
    body = encode(ask, source="sn1.example.org", id="1", time=1.0)
    event = read(body, Ask)
    assert isinstance(event, Event)
    assert event.data == ask


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "invalid"),
        (b"\xff", "invalid"),
        (b"[" * 200_000, "invalid"),
        (b"x" * 300_000, "too-large"),
        (encode(Hello(), source="n1.llnl.gov", id="1", time=1.0), "invalid"),
        (
            encode(Ask("r", "n1", "status"), source="n1.llnl.gov", id="1", time=1.0).replace(
                b"nm.ask.v1", b"nm.ask.v2"
            ),
            "unknown-type",
        ),
    ],
)
def test_what_is_not_of_that_kind_is_a_value_with_the_reason(body: bytes, reason: str) -> None:
    rejected = read(body, Ask)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


def test_a_large_message_is_refused_with_the_first_place_and_never_explained_at_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codec, "_most_wrong", None)
    event = msgspec.json.decode(sent())
    event["data"]["checks"] = [{"name": "n" * 90, "status": n} for n in range(30_000)]
    body = msgspec.json.encode(event)
    assert codec.EXPLAINED < len(body) < PEER_BYTES
    rejected = decode(body, limit=PEER_BYTES)
    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.INVALID
    assert rejected.detail.startswith("data.checks")
    assert "of its schema" in rejected.detail
    assert len(rejected.detail) <= LONG


def test_a_byte_order_mark_is_named() -> None:
    said = "begins with a byte order mark, which JSON has not"
    assert refused(b"\xef\xbb\xbf" + sent()) == Rejected(Reason.NOT_JSON, said)

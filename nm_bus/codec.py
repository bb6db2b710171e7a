"""Messages to bytes and back: structured CloudEvents in JSON, checked against their schemas.

The one place where JSON is read or written for the wire. A message that cannot be read is a value,
`Rejected`, never an exception: whatever the bytes, a consumer goes on.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec

from nm_bus.contracts import validator
from nm_bus.messages import (
    Event,
    Message,
    NodeId,
    Quarantined,
    Seconds,
    message_type,
)
from nm_bus.protocol import MESSAGES
from nm_bus.topology import PRINCIPAL_BYTES

CONTENT_TYPE = "application/cloudevents+json"
"""What the bytes are: a CloudEvent in structured mode."""

DEPTH = 32
"""How deep a message may be nested: twice what the deepest of ours needs."""

FIRST_BYTES = 4096
"""How much of a refused message is kept."""

UNKNOWN = "unknown"
"""The id of a message that has none that can be read."""

EXPLAINED = 32_768
"""How large a message may be whose fault is explained in words, which takes long: of a larger one
only the first place is said."""

LONGEST_ID = 128
"""How long an event's id may be."""

BOM = b"\xef\xbb\xbf"

SHORT, LONG = 255, 1000
"""How long the texts of a quarantine record may be: names, and the detail."""


class Reason(StrEnum):
    """Why a message was refused: the last word of its routing key in quarantine."""

    TOO_LARGE = "too-large"
    NOT_JSON = "not-json"
    TOO_DEEP = "too-deep"
    NO_CLOUDEVENT = "no-cloudevent"
    UNKNOWN_TYPE = "unknown-type"
    UNKNOWN_VERSION = "unknown-version"
    INVALID = "invalid"
    NO_USER = "no-user"
    NOT_SENDER = "not-sender"
    NOT_KEY = "not-key"
    UNREADABLE_HEADERS = "unreadable-headers"
    FAR_FUTURE = "far-future"
    FAR_SEQUENCE = "far-sequence"
    WRONG_STREAM = "wrong-stream"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that cannot be taken. `detail` is one sentence; `invalid` names the field first."""

    reason: Reason
    detail: str


Decoded = Event[Message] | Rejected

M = TypeVar("M", bound=Message)


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    id: str
    source: NodeId
    type: str
    time: datetime
    data: Message
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


class _Named(msgspec.Struct, frozen=True, gc=False):
    id: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z", max_length=LONGEST_ID)]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_classes: dict[str, type[Message]] = {message_type(kind): kind for kind in MESSAGES}
_names = frozenset(kind.split(".")[1] for kind in _classes)


def encode(message: Message, *, source: NodeId, id: str, time: Seconds) -> bytes:
    """Write a message as a CloudEvent; `time` is seconds since 1970, kept to the microsecond.

    What is written is not checked here: numbers must be finite (JSON has no other) and texts
    within the limits of the schema, or the receiver will refuse it.
    """
    at = datetime.fromtimestamp(time, UTC)
    return _encoder.encode(_Envelope(id, source, message_type(message), at, message))


def size_of(part: object) -> int:
    """How many bytes a part of a message takes when it is written."""
    return len(_encoder.encode(part))


def decode(body: bytes, *, limit: int = PRINCIPAL_BYTES) -> Decoded:
    """Read and check a message of at most `limit` bytes. Raises nothing, whatever the bytes."""
    if len(body) > limit:
        return Rejected(Reason.TOO_LARGE, f"{len(body)} bytes where {limit} are allowed")
    try:
        event = _decoder.decode(body)
        if body.count(b"{") + body.count(b"[") > DEPTH and _deeper_than(DEPTH, event):
            return _too_deep()
        return _checked(event, body)
    except RecursionError:
        return _too_deep()
    except msgspec.ValidationError as error:
        return Rejected(Reason.INVALID, _field_first(str(error)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        marked = "begins with a byte order mark, which JSON has not"
        return Rejected(Reason.NOT_JSON, marked if body.startswith(BOM) else str(error))


def read(body: bytes, kind: type[M], *, limit: int = PRINCIPAL_BYTES) -> Event[M] | Rejected:
    """Read a message of one kind from a sender that was authenticated and is trusted to keep to
    the schema: fields and their types are checked, the schema's other bounds are not. It needs no
    validator, whose memory a small agent does without. Raises nothing, whatever the bytes."""
    if len(body) > limit:
        return Rejected(Reason.TOO_LARGE, f"{len(body)} bytes where {limit} are allowed")
    try:
        event: Event[M] = msgspec.json.decode(body, type=Event[kind])  # type: ignore[valid-type]
    except RecursionError:
        return _too_deep()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected(Reason.INVALID, _field_first(str(error)))
    if event.type != message_type(kind):
        return Rejected(Reason.UNKNOWN_TYPE, f"type: {event.type[:SHORT]!r} is not expected here")
    return event


def id_of(body: bytes) -> str:
    """The id of what need be no valid event, or `unknown`: so that a refusal can name what it
    refuses. Raises nothing, whatever the bytes."""
    if len(body) > PRINCIPAL_BYTES:
        return UNKNOWN
    try:
        return msgspec.json.decode(body, type=_Named).id
    except (RecursionError, msgspec.DecodeError, UnicodeDecodeError):
        return UNKNOWN


def quarantine(
    body: bytes, *, reason: str, detail: str, who: str | None, exchange: str, key: str
) -> Quarantined:
    """Record a refused message: its first 4 KiB and its hash, why, who sent it and where to."""
    return Quarantined(
        reason=reason[:SHORT],
        detail=detail[:LONG],
        who=(who or "")[:SHORT],
        exchange=exchange[:SHORT],
        key=key[:SHORT],
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        first=base64.b64encode(body[:FIRST_BYTES]).decode("ascii"),
    )


def _checked(event: Any, body: bytes) -> Decoded:
    name = event.get("type") if isinstance(event, dict) else None
    message = _classes.get(name) if isinstance(name, str) else None
    if message is None:
        return _unknown(event)
    is_valid, typed = _reader(message)
    if not is_valid(event):
        size = len(body)
        if not _is_cloudevent(event):
            return Rejected(Reason.NO_CLOUDEVENT, "specversion: not a CloudEvent 1.0")
        why = _first_wrong(message, event) if size > EXPLAINED else _most_wrong(message, event)
        return Rejected(Reason.INVALID, why or "does not fit its schema")
    try:
        return typed(body)  # reading the bytes again is faster than converting what was read
    except msgspec.ValidationError:
        # To JSON Schema 1.0 is an integer, as other languages write it; the lax mode takes it too.
        kind: type[Event[Message]] = Event[message]  # type: ignore[valid-type]
        return msgspec.convert(event, kind, strict=False)


@cache
def _reader(
    message: type[Message],
) -> tuple[Callable[[Any], bool], Callable[[bytes], Event[Message]]]:
    decoder = msgspec.json.Decoder(Event[message])  # type: ignore[valid-type]
    return validator(message).is_valid, decoder.decode


def _deeper_than(levels: int, value: object) -> bool:
    level: list[Any] = [[value]]
    for _ in range(levels + 1):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) in (dict, list)
        ]
    return bool(level)


def _too_deep() -> Rejected:
    return Rejected(Reason.TOO_DEEP, f"nested deeper than {DEPTH} levels")


def _unknown(event: Any) -> Rejected:
    if not _is_cloudevent(event):
        return Rejected(Reason.NO_CLOUDEVENT, "not a CloudEvent 1.0 with a type")
    kind = event["type"][:SHORT]
    system, _, rest = kind.partition(".")
    if system == "nm" and rest.rpartition(".")[0] in _names:
        return Rejected(Reason.UNKNOWN_VERSION, f"type: {kind!r} is of a version not known here")
    return Rejected(Reason.UNKNOWN_TYPE, f"type: {kind!r} is not known here")


def _is_cloudevent(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and event.get("specversion") == "1.0"
        and isinstance(event.get("type"), str)
    )


def _field_first(problem: str) -> str:
    what, _, where = problem.partition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if where else what


def _most_wrong(message: type[Message], event: Any) -> str:
    # Imported here: jsonschema is large, and a program that is sent no nonsense never needs it.
    from nm_bus.explain import explain  # noqa: PLC0415

    return explain(message, event)


def _first_wrong(message: type[Message], event: Any) -> str:
    """The first place that the quick validator finds, and the schema's keyword: no value of it."""
    from jsonschema_rs import ValidationError  # noqa: PLC0415

    try:
        validator(message).validate(event)
    except ValidationError as error:
        path = ".".join(str(step) for step in error.instance_path)[:SHORT]
        where = "".join(c if c.isprintable() else "?" for c in path)
        keyword = next(reversed([step for step in error.schema_path if isinstance(step, str)]), "")
        return f"{where}: does not fit {keyword!r} of its schema"
    return ""

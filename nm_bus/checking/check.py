"""What is asked of the child process, and what it finds. Every failure of a library is a refusal.

What is asked is all that an answer depends on: the same check gets the same answer everywhere.
"""

from typing import Any

import msgspec

from nm_bus import records
from nm_bus.boundary import Unreadable, attempt
from nm_bus.documents.media import XML
from nm_bus.documents.parsing import READABLE, why_unreadable
from nm_bus.documents.schema import why_invalid


class OfDocument(msgspec.Struct, frozen=True, tag="document"):
    """Whether a document is what its media type says, and what its schema asks for."""

    content: bytes
    media_type: str
    schema: str = ""


class OfRecord(msgspec.Struct, frozen=True, tag="record"):
    """Whether a record is one of its kind."""

    kind: str
    value: dict[str, Any]


Check = OfDocument | OfRecord


def is_needed(check: Check) -> bool:
    """Whether there is anything to look at."""
    match check:
        case OfDocument():
            return bool(check.schema) or check.media_type == XML or check.media_type in READABLE
        case OfRecord():
            return check.kind in records.kinds()


def found(check: Check) -> str:
    """What is wrong, in one sentence without its subject; empty when nothing is."""
    said = attempt(lambda: _found(check))
    return said.reason if isinstance(said, Unreadable) else said


def _found(check: Check) -> str:
    match check:
        case OfDocument(content, media_type, schema):
            wrong = why_unreadable(content, media_type)
            return wrong or (why_invalid(content, media_type, schema) if schema else "")
        case OfRecord(kind, value):
            return records.why_not(kind, value)

"""What a component reads and writes: entries, and documents as bytes, text or JSON."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nm_bus.codes import BAD_VALUE
from nm_bus.core.ledger.keys import FORMS, family
from nm_bus.documents import content_of
from nm_bus.errors import RefusedError
from nm_bus.messages import Entry, Micros, Update


class LedgerEntry(Entry, frozen=True):
    """An entry as a component reads it; a document's gives what the document holds."""

    @property
    def when(self) -> datetime:
        """When it was agreed on, in UTC."""
        return moment(self.time)

    @property
    def content(self) -> bytes:
        """Its bytes. Raises RefusedError when the ledger's value holds none."""
        try:
            return content_of(self.value)
        except ValueError as error:
            raise RefusedError(f"{self.key}: {error}", BAD_VALUE) from None

    @property
    def text(self) -> str:
        """Its text. Raises RefusedError when it is no text in UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            raise RefusedError(f"{self.key} is no text in UTF-8; see `content`") from None


def moment(time: Micros) -> datetime:
    """A time of the ledger, as of an update, with its time zone, which is UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def ledger_entry(entry: Entry) -> LedgerEntry:
    """An entry as a component reads it."""
    return LedgerEntry(**msgspec.structs.asdict(entry))


def of_update(update: Update) -> LedgerEntry | None:
    """The entry that an update of a document or a record makes; None where it deletes it."""
    change = update.change
    if change.value is None:
        return None
    return LedgerEntry(change.key, change.value, update.revision, change.actor, update.time)


def as_bytes(content: Any) -> bytes:
    """What is to be published: bytes as they are, text in UTF-8, all else as JSON.

    Raises RefusedError for what has no JSON.
    """
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    try:
        return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedError(f"the content is no bytes, text or JSON: {error}", BAD_VALUE) from None


def check_family(key: str) -> None:
    """Raise RefusedError for a key of no family: most often a document's name without `config/`."""
    if family(key) not in FORMS:
        known = ", ".join(FORMS)
        raise RefusedError(
            f"{key!r} is no key: it begins with none of {known}; "
            "a document's key is config/COMPONENT/NAME",
            BAD_VALUE,
        )

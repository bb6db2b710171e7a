"""A configuration document as a component reads and writes it: bytes, text or JSON."""

import json
from typing import Any

import msgspec

from nm_bus.codes import BAD_VALUE
from nm_bus.core.ledger.keys import FORMS, family
from nm_bus.documents import content_of
from nm_bus.errors import RefusedError
from nm_bus.messages import Entry


class Published(Entry, frozen=True):
    """The entry of a document, which gives what the document holds."""

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


def published(entry: Entry | None) -> Published | None:
    """An entry as that of a document."""
    return Published(**msgspec.structs.asdict(entry)) if entry else None


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

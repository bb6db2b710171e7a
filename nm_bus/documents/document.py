"""A configuration document, and how the ledger keeps it: text as text, other bytes as base64."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from nm_bus.documents.media import BINARY, PLAIN, announced, text_of
from nm_bus.documents.names import key_of

MOST_BYTES = 65_536
"""How large a document may be: every member and every supernode keeps it."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as somebody wants it to be. `schema` is a JSON Schema as text, empty for none."""

    component: str
    name: str
    content: bytes
    schema: str = ""

    @property
    def key(self) -> str:
        """Its key in the ledger."""
        return key_of(self.component, self.name)

    @property
    def media_type(self) -> str:
        """By the name's suffix; else plain text, or bytes of which nothing is known."""
        media = announced(self.name)
        if media is None:
            media = BINARY if text_of(self.content) is None else PLAIN
        return media.type


def stored(
    document: Document, *, schema: str | None = None, note: str = "", reverts: int = 0
) -> dict[str, Any]:
    """A document as a change's value. Without `schema` that of the version before is kept;
    an empty one removes it."""
    text = text_of(document.content)
    content: dict[str, Any] = (
        {"content": base64.b64encode(document.content).decode(), "encoding": "base64"}
        if text is None
        else {"content": text, "encoding": "text"}
    )
    said = {"note": note, "reverts": reverts}
    value = content | {"media_type": document.media_type} | {k: v for k, v in said.items() if v}
    return value if schema is None else value | {"schema": schema}


def content_of(value: dict[str, Any]) -> bytes:
    """The bytes of a document as the ledger holds it. Raises ValueError when they are none."""
    content = value.get("content", "")
    if not isinstance(content, str):
        raise ValueError("its content is no text")
    if value.get("encoding", "text") != "base64":
        return content.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error:
        raise ValueError("its content is no base64") from None

"""Configuration documents: `config/<component>/<name>`.

Whether a document fits its own JSON Schema is checked before it is proposed, never here: two
supernodes with two versions of a validator must come to the same state.
"""

import base64
import binascii
from typing import Annotated, Literal

from msgspec import Meta

from nm_bus.codes import BAD_VALUE, UNKNOWN_KEY
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal
from nm_bus.core.ledger.rules.values import read
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change
from nm_bus.messages.base import Nested

MOST_BYTES = 65_536
"""The size of a document, decoded."""


class DocumentValue(Nested, frozen=True):
    """A version of a document. An empty `schema` takes the schema away."""

    content: str
    encoding: Literal["text", "base64"] = "text"
    media_type: Annotated[str, Meta(max_length=255)] = ""
    schema: Annotated[str, Meta(max_length=65_536)] = ""
    note: Annotated[str, Meta(max_length=4_096)] = ""
    reverts: Annotated[int, Meta(ge=0)] = 0


def put(state: State, change: Change) -> Outcome:
    """A new version. It keeps the schema of the last one unless it brings its own."""
    document = read(change.value, DocumentValue)
    if isinstance(document, Refusal):
        return document
    flaw = _flaw(document)
    if document.reverts > state.revision:
        flaw = f"reverts: there is no revision {document.reverts} yet"
    if flaw:
        return Refusal(BAD_VALUE, flaw)
    before = state.get(change.key)
    kept = before.value.get("schema", "") if before else ""
    value = {"schema": kept, **(change.value or {})}
    return {change.key: {k: v for k, v in value.items() if k != "schema" or v}}


def delete(state: State, change: Change) -> Outcome:
    """No such key any more; its versions stay in the history."""
    if state.get(change.key) is None:
        return Refusal(UNKNOWN_KEY, f"{change.key} is not there")
    return {change.key: None}


def _flaw(document: DocumentValue) -> str:
    size = _size(document)
    if size is None:
        return "content: no base64, though encoding says so"
    if size > MOST_BYTES:
        return f"content: {size} bytes, {MOST_BYTES} are allowed"
    return ""


def _size(document: DocumentValue) -> int | None:
    """Bytes, decoded. Only the one canonical spelling counts as base64."""
    if document.encoding == "text":
        return len(document.content.encode())
    try:
        content = base64.b64decode(document.content, validate=True)
    except (binascii.Error, ValueError):
        return None
    return len(content) if base64.b64encode(content).decode() == document.content else None

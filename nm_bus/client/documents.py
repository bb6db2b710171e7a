"""Configuration documents as entries: their keys, and their content as text or as bytes."""

import base64
from typing import Any

from nm_bus.messages import Entry


def document_key(component: str, name: str) -> str:
    """The key of a component's document."""
    return f"config/{component}/{name}"


def document_value(
    content: str | bytes, *, media_type: str = "", schema: str = "", note: str = ""
) -> dict[str, Any]:
    """The value of a version: text as it is, bytes that are no UTF-8 as base64."""
    text, encoding = _as_text(content)
    value = {
        "content": text,
        "encoding": encoding,
        "media_type": media_type,
        "schema": schema,
        "note": note,
    }
    return {name: word for name, word in value.items() if word or name == "content"}


def content_of(entry: Entry) -> bytes:
    """The content of a document, as the bytes that were put."""
    content = str(entry.value["content"])
    if entry.value.get("encoding") == "base64":
        return base64.b64decode(content)
    return content.encode()


def _as_text(content: str | bytes) -> tuple[str, str]:
    if isinstance(content, str):
        return content, ""
    try:
        return content.decode(), ""
    except UnicodeDecodeError:
        return base64.b64encode(content).decode("ascii"), "base64"

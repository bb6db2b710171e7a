"""Remote text made safe and short for a terminal.

Whatever came over the bus passes through here before a person sees it: an escape sequence in a
host's description must not be able to move a cursor, hide a line or retitle a window.
"""

import base64
import binascii
import json
from typing import Any

import msgspec
from rich.text import Text

REPLACEMENT = "·"


def printable(text: str, limit: int = 0) -> str:
    """Text with every character that is no visible one replaced, cut to `limit` when given."""
    clean = "".join(c if c.isprintable() else REPLACEMENT for c in text.strip())
    if limit and len(clean) > limit:
        return clean[: limit - 1] + "…"
    return clean


def cell(text: str, style: str = "", limit: int = 0) -> Text:
    """A table's cell: safe, never read as markup, cut rather than wrapped."""
    return Text(printable(text, limit), style=style, no_wrap=True, overflow="ellipsis")


def first_bytes(encoded: str, limit: int = 60) -> str:
    """The start of a quarantined message (base64), readable and harmless."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return printable(encoded, limit)
    return printable(raw[: 4 * limit].decode("utf-8", errors="replace"), limit)


def as_json(value: Any, *, indent: bool = False) -> str:
    """JSON of messages and plain values, with nothing in it but ASCII: safe on any terminal."""
    return json.dumps(msgspec.to_builtins(value), indent=2 if indent else None)

"""Reading what a document says, where its media type is one that can be read.

A file that is only half written is no JSON, TOML or XML any more, which is how that is noticed.
"""

import json
import tomllib
from datetime import date, datetime, time
from typing import Any
from xml.parsers import expat

from nm_bus.documents.media import JSON, TOML, XML

READABLE = frozenset({JSON, TOML})
"""What a JSON Schema can be held against."""


def why_unreadable(content: bytes, media_type: str) -> str:
    """Why a document is not what its media type says, with the place; empty when it is."""
    try:
        if media_type == XML:
            _read_xml(content)
        elif media_type in READABLE:
            parsed(content, media_type)
    except ValueError as error:
        return str(error)
    return ""


def parsed(content: bytes, media_type: str) -> Any:
    """What a JSON or TOML document says. Raises ValueError with one sentence and the place."""
    kind = "JSON" if media_type == JSON else "TOML"
    try:
        text = content.decode("utf-8-sig" if media_type == JSON else "utf-8")
        return _read_json(text) if media_type == JSON else _plain(tomllib.loads(text))
    except RecursionError:
        raise ValueError(f"is nested too deep to be read as {kind}") from None
    except ValueError as error:
        raise ValueError(f"is no {kind}: {error}") from None


def _read_json(text: str) -> Any:
    if not text.strip():
        raise ValueError("it is empty")
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two equal names counts, so there may be one only."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"an object has the name {name!r} twice")
        made[name] = value
    return made


def _plain(value: Any) -> Any:
    """TOML's dates and times as texts, as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def _read_xml(content: bytes) -> None:
    try:
        expat.ParserCreate().Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"is no XML: {error}") from None

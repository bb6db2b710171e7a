"""Reading what a document says, where its media type is one that can be read.

A file that is only half written is no JSON, TOML or XML any more, which is how that is noticed.
Reading foreign text may still take long within the bounds here: see `nm_bus.checking`.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any
from xml.parsers import expat

from nm_bus.boundary import Unreadable, attempt
from nm_bus.documents.media import JSON, TOML, XML

READABLE = frozenset({JSON, TOML})
"""What a JSON Schema can be held against."""

MOST_LEVELS = 64
"""How deep a document may be nested."""

MOST_DIGITS = 300
"""How many digits a number may have: other readers take numbers for floating ones."""

_TOO_LARGE = 10**MOST_DIGITS

MOST_WORDS = 64
"""How many words, joined by dots, a name of TOML may have: reading it takes their square."""

BOM = b"\xef\xbb\xbf"

_LONG_NAME = re.compile(rf"(?m)^[ \t\[]*(?:[A-Za-z0-9_-]+[ \t]*\.[ \t]*){{{MOST_WORDS}}}")


def why_unreadable(content: bytes, media_type: str) -> str:
    """Why a document is not what its media type says, with the place; empty when it is."""
    said = attempt(lambda: _why_unreadable(content, media_type))
    return said.reason if isinstance(said, Unreadable) else said


def _why_unreadable(content: bytes, media_type: str) -> str:
    try:
        if media_type == XML:
            try:
                expat.ParserCreate().Parse(content, True)
            except expat.ExpatError as error:
                raise ValueError(f"is no XML: {error}") from None
        elif media_type in READABLE:
            parsed(content, media_type)
    except ValueError as error:
        return str(error)
    return ""


def parsed(content: bytes, media_type: str) -> Any:
    """What a JSON or TOML document says. Raises ValueError with one sentence and the place."""
    kind = "JSON" if media_type == JSON else "TOML"
    try:
        said = _read_json(content) if media_type == JSON else _read_toml(content)
    except RecursionError:
        raise ValueError(f"is nested too deep to be read as {kind}") from None
    except ValueError as error:
        raise ValueError(f"is no {kind}: {error}") from None
    if flaw := _flaw(said):
        raise ValueError(flaw)
    return said


def _read_json(content: bytes) -> Any:
    text = content.decode("utf-8-sig")
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


def _read_toml(content: bytes) -> Any:
    if content.startswith(BOM):
        raise ValueError("it begins with a byte order mark; save it in UTF-8 without one")
    text = content.decode("utf-8")
    if long := _LONG_NAME.search(text):
        line = text.count("\n", 0, long.start()) + 1
        raise ValueError(f"line {line} has a name of more than {MOST_WORDS} words")
    return _plain(tomllib.loads(text))


def _plain(value: Any) -> Any:
    """TOML's dates and times as texts, as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def _flaw(said: Any) -> str:
    """What goes beyond a bound; the value is read, so looking at all of it takes no recursion."""
    level: list[Any] = [said]
    for _ in range(MOST_LEVELS + 1):
        if any(isinstance(each, int) and abs(each) >= _TOO_LARGE for each in level):
            return f"has a number of more than {MOST_DIGITS} digits"
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return ""
    return f"is nested deeper than {MOST_LEVELS} levels"


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value

"""What a change may hold at all, whatever its kind: so that no rule meets what it cannot take."""

from typing import Any, TypeVar

import msgspec

from nm_bus.codes import BAD_VALUE
from nm_bus.core.ledger.chain import canonical
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.messages import Change
from nm_bus.messages.base import Nested

MOST_BYTES = 192 * 1024
"""A change's size, as canonical JSON: a document in base64 and its schema fit, a message too."""

DEEPEST = 32
LARGEST = 2**53 - 1
"""The largest whole number that every language reads alike."""

_TEXTS = {
    "id": 300,
    "actor": 200,
    "kind": 32,
    "key": 1_000,
    "signer": 200,
    "signature": 2_000,
    "supernode": 200,
}
_NUMBERS = ("base", "timestamp")

P = TypeVar("P", bound=Nested)


def flaw(change: Change) -> str:
    """What a change must not hold, in one sentence; empty when it is sound."""
    for field, most in _TEXTS.items():
        text = getattr(change, field)
        if not isinstance(text, str) or len(text) > most or not _is_unicode(text):
            return f"{field} is no text of at most {most} characters"
    for field in _NUMBERS:
        if not _is_count(getattr(change, field)):
            return f"{field} is no whole number from 0 to {LARGEST}"
    if change.expected is not None and not _is_count(change.expected):
        return f"expected is no whole number from 0 to {LARGEST}"
    if change.value is not None and not isinstance(change.value, dict):
        return "value is no object"
    return _flaw_in(change.value, 0) or _flaw_of_size(change)


def read(value: dict[str, Any] | None, form: type[P]) -> P | Refusal:
    """A value in the form that its rule expects; fields beyond the form are left alone."""
    try:
        return msgspec.convert(value or {}, form, strict=True)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        return Refusal(BAD_VALUE, f"{where.rstrip('`') or 'the value'}: {what}")


def _flaw_of_size(change: Change) -> str:
    size = len(canonical(change))
    return f"the change has {size} bytes, {MOST_BYTES} are allowed" if size > MOST_BYTES else ""


def _flaw_in(value: object, depth: int) -> str:
    if not isinstance(value, list | dict):
        return _flaw_of(value)
    if depth == DEEPEST:
        return f"the value is nested deeper than {DEEPEST}"
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        return "the value holds a name that is no text"
    return next(filter(None, (_flaw_in(item, depth + 1) for item in inside)), "")


def _flaw_of(value: object) -> str:
    match value:
        case str() if not _is_unicode(value):
            return "the value holds a text that is no Unicode"
        case int() if abs(value) > LARGEST:
            return "the value holds a number of 2**53 or more"
        case float():
            return "the value holds a fraction: write it as text"
        case None | bool() | int() | str():
            return ""
        case _:
            return f"the value holds a {type(value).__name__}"


def _is_count(number: object) -> bool:
    return type(number) is int and 0 <= number <= LARGEST


def _is_unicode(text: str) -> bool:
    """Half of a surrogate pair is a Python text, and nowhere else one."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

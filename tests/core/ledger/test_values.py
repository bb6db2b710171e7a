"""What no change may hold, field by field."""

from typing import Any

import msgspec
import pytest

from nm_bus.core.ledger.rules.values import DEEPEST, LARGEST, MOST_BYTES, flaw
from nm_bus.messages import Change

SOUND = Change("a/b/1", "a", "set", "record/log/x", value={"x": [1, None, True, "é", {"y": {}}]})


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"value": None},
        {"expected": 0},
        {"base": LARGEST, "expected": LARGEST, "timestamp": LARGEST},
        {"value": nested(DEEPEST - 1)},
        {"value": {"x": LARGEST, "y": -LARGEST}},
        {"signature": "x" * 2_000},
    ],
)
def test_a_sound_change_has_no_flaw(fields: dict[str, Any]) -> None:
    assert flaw(msgspec.structs.replace(SOUND, **fields)) == ""


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"id": 1}, "id is no text"),
        ({"actor": None}, "actor is no text"),
        ({"kind": "x" * 33}, "kind is no text of at most 32 characters"),
        ({"key": "\udc80"}, "key is no text"),
        ({"base": -1}, "base is no whole number"),
        ({"base": True}, "base is no whole number"),
        ({"base": 1.0}, "base is no whole number"),
        ({"timestamp": LARGEST + 1}, "timestamp is no whole number"),
        ({"expected": -1}, "expected is no whole number"),
        ({"expected": "1"}, "expected is no whole number"),
        ({"value": []}, "value is no object"),
        ({"value": {"x": 0.5}}, "a fraction"),
        ({"value": {"x": float("nan")}}, "a fraction"),
        ({"value": {"x": [LARGEST + 1]}}, "2**53"),
        ({"value": {"x": 10**400}}, "2**53"),
        ({"value": {"x": "\ud800"}}, "no Unicode"),
        ({"value": {"\ud800": 1}}, "no Unicode"),
        ({"value": {1: 1}}, "a name that is no text"),
        ({"value": {"x": b""}}, "a bytes"),
        ({"value": {"x": (1,)}}, "a tuple"),
        ({"value": nested(DEEPEST)}, "nested deeper"),
        ({"value": {"x": "x" * MOST_BYTES}}, "bytes"),
    ],
)
def test_a_flaw_is_said_in_one_sentence(fields: dict[str, Any], says: str) -> None:
    assert says in flaw(msgspec.structs.replace(SOUND, **fields))

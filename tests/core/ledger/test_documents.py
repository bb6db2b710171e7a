"""What a document may be, and what stays of it from version to version."""

import base64
from typing import Any

import pytest

from nm_bus.core.ledger.rules.documents import MOST_BYTES
from nm_lab.samples.desk import Desk

KEY = "config/search/index.json"


def encoded(content: bytes) -> dict[str, Any]:
    return {"content": base64.b64encode(content).decode(), "encoding": "base64"}


@pytest.mark.parametrize(
    "value",
    [
        {"content": ""},
        {"content": "x" * MOST_BYTES},
        {"content": "é" * (MOST_BYTES // 2)},
        encoded(b"\x00\xff" * (MOST_BYTES // 2)),
        {"content": "{}", "media_type": "application/json", "schema": "{}", "note": "why"},
    ],
)
def test_a_document_is_taken_as_it_is(value: dict[str, Any]) -> None:
    desk = Desk()
    desk.done("pub", "set", KEY, value)
    assert desk.state.value(KEY) == value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "content"),
        ({}, "content"),
        ({"content": 1}, "content"),
        ({"content": None}, "content"),
        ({"content": "x" * (MOST_BYTES + 1)}, "65537 bytes"),
        ({"content": "é" * MOST_BYTES}, "bytes"),
        (encoded(b"x" * (MOST_BYTES + 1)), "65537 bytes"),
        ({"content": "a", "encoding": "base64"}, "base64"),
        ({"content": "YR==", "encoding": "base64"}, "base64"),
        ({"content": "YQ==\n", "encoding": "base64"}, "base64"),
        ({"content": "é", "encoding": "base64"}, "base64"),
        ({"content": "x", "encoding": "rot13"}, "encoding"),
        ({"content": "x", "schema": {}}, "schema"),
        ({"content": "x", "weight": 0.5}, "fraction"),
        ({"content": "\ud800"}, "Unicode"),
        ({"content": "x", "note": "x" * 200_000}, "bytes"),
        ({"content": "x", "reverts": 9}, "no revision 9"),
    ],
)
def test_a_document_that_cannot_be_is_refused_and_says_why(
    value: dict[str, Any] | None, says: str
) -> None:
    answer = Desk().ask("pub", "set", KEY, value).answer
    assert answer.code == "bad-value"
    assert says in answer.reason


def test_the_schema_is_kept_until_another_comes_or_the_document_goes() -> None:
    desk = Desk()
    desk.done("pub", "set", KEY, {"content": "1", "schema": '{"type": "integer"}'})
    desk.done("pub", "set", KEY, {"content": "2", "note": "more"})
    assert desk.state.value(KEY) == {
        "content": "2",
        "note": "more",
        "schema": '{"type": "integer"}',
    }
    desk.done("pub", "set", KEY, {"content": "3", "schema": ""})
    assert desk.state.value(KEY) == {"content": "3"}
    desk.done("pub", "set", KEY, {"content": "4", "schema": "{}"})
    desk.done("pub", "delete", KEY)
    desk.done("pub", "set", KEY, {"content": "5"})
    assert desk.state.value(KEY) == {"content": "5"}


def test_what_is_deleted_must_be_there() -> None:
    desk = Desk()
    assert desk.refused("pub", "delete", KEY) == "unknown-key"
    desk.done("pub", "set", KEY, {"content": "1"})
    assert desk.ask("pub", "delete", KEY).entries == {KEY: None}
    assert desk.state.get(KEY) is None

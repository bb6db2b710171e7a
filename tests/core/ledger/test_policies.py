"""Roles, policies and silences are an administrator's, and one administrator always stays."""

from typing import Any

import pytest

from nm_lab.samples.desk import Desk


def test_the_last_administrator_stays() -> None:
    desk = Desk()
    assert desk.refused("admin", "delete", "role/admin") == "not-allowed"
    assert desk.refused("admin", "set", "role/admin", {"publisher": ["x"]}) == "not-allowed"
    desk.done("admin", "set", "role/eve", {"administrator": True})
    desk.done("admin", "delete", "role/admin")
    assert desk.refused("eve", "delete", "role/eve") == "not-allowed"


@pytest.mark.parametrize(
    "value",
    [None, {}, {"administrator": 1}, {"publisher": "x"}, {"publisher": [1]}, {"publisher": [".."]}],
)
def test_a_role_that_cannot_be_is_refused(value: dict[str, Any] | None) -> None:
    assert Desk().refused("admin", "set", "role/eve", value) == "bad-value"


@pytest.mark.parametrize("key", ["policy/alerts", "silence/s1", "record/log/x", "role/pub"])
def test_what_is_set_can_be_deleted_once(key: str) -> None:
    desk = Desk()
    desk.done("admin", "set", key, {"publisher": ["x"]})
    assert desk.state.value(key) == {"publisher": ["x"]}
    desk.done("admin", "delete", key)
    assert desk.refused("admin", "delete", key) == "unknown-key"


def test_a_record_is_no_larger_than_a_document() -> None:
    value = {"text": "x" * 70_000}
    assert Desk().refused("admin", "set", "record/log/x", value) == "bad-value"


def test_a_record_holds_something() -> None:
    assert Desk().refused("admin", "set", "record/log/x") == "bad-value"

"""The drop-in files' schema and the agent give the same verdict."""

import math
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_agents.member.metricfile import MetricFile, read
from nm_bus.contracts import load, retrieve

VALIDATOR = jsonschema_rs.Draft202012Validator(load("dropin/v1.json"), retriever=retrieve)

DECLARED = {"name": "tds.requests", "unit": "1", "kind": "counter", "quantiles": True}

VALID: list[Any] = [
    {"queue.depth": 7},
    {"disk.used[/data/a b]": 1.5e9, "x": -1},
    {"values": {"tds.requests": 5}},
    {"values": {"tds.requests": 5}, "declared": [DECLARED], "by": "thredds"},
    {"values": 7},
]

INVALID: list[Any] = [
    {},
    [],
    7,
    "x",
    None,
    {"values": {}},
    {"a b": 1},
    {"a\n": 1},
    {"1a": 1},
    {"a..b": 1},
    {"a": "1"},
    {"a": True},
    {"a": None},
    {"a[]": 1},
    {"values": {"a": 1}, "declared": [{"name": "a"}]},
    {"values": {"a": 1}, "declared": [DECLARED | {"kind": "sum"}]},
    {"values": {"a": 1}, "declared": [DECLARED | {"name": "a[b]"}]},
    {"values": {"a": 1}, "declared": None},
    {f"a{n}": n for n in range(1001)},
    {"a" * 301: 1},
]


@pytest.mark.parametrize("content", VALID)
def test_a_good_file_is_taken_by_both(content: Any) -> None:
    assert VALIDATOR.is_valid(content)
    assert isinstance(read(msgspec.json.encode(content)), MetricFile)


@pytest.mark.parametrize("content", INVALID)
def test_a_bad_file_is_refused_by_both_with_a_sentence(content: Any) -> None:
    assert not VALIDATOR.is_valid(content)
    reason = read(msgspec.json.encode(content))
    assert isinstance(reason, str)
    assert reason


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
NAMES = st.text("aZ9_.-[]/ é\n\x7f", max_size=12) | st.text(max_size=5)
FILES = st.dictionaries(NAMES, NUMBERS | st.text(max_size=3) | st.booleans(), max_size=4)


@given(FILES | st.builds(lambda values: {"values": values}, FILES))
def test_generated_files_get_the_same_verdict(content: Any) -> None:
    valid = VALIDATOR.is_valid(content)
    assert isinstance(read(msgspec.json.encode(content)), MetricFile) == valid


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(body: bytes) -> None:
    result = read(body)
    if isinstance(result, MetricFile):
        assert all(math.isfinite(value) for value in result.values.values())

"""One series that fits into no message never costs the others."""

import math

import pytest

from nm_bus.codec import decode, encode
from nm_bus.contracts import validator
from nm_bus.core.agent import LONGEST, MOST, MOST_BYTES, fitting, label
from nm_bus.messages import Event, Metrics


@pytest.mark.parametrize(
    "name", ["", "1load", "a b", "disk[]", "disk[a", "disk[a]b", "disk[a\nb]", "x" * (LONGEST + 1)]
)
def test_a_name_that_no_supernode_takes_is_left_out_with_its_reason(name: str) -> None:
    found = fitting({name: 1.0, "load": 2.0})

    assert found.values == {"load": 2.0}
    assert list(found.troubles.values()) == ["is no name of a series"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_left_out(value: float) -> None:
    assert fitting({"load": value}).troubles == {"load": "is no finite number"}


def test_more_than_a_message_holds_is_left_out_and_said() -> None:
    found = fitting({f"s{n}": 1.0 for n in range(MOST + 2)})

    assert len(found.values) == MOST
    assert found.troubles.keys() == {f"s{MOST}", f"s{MOST + 1}"}


@pytest.mark.parametrize(
    "mount", ["/", "/data", "/data/mnt[1]", "/x" * 400, "/a\nb", "/k\udce4se", "", "/Käse"]
)
def test_any_mount_point_makes_a_series_that_the_schema_takes(mount: str) -> None:
    name = f"disk.percent[{label(mount)}]"

    assert fitting({name: 1.0}).values == {name: 1.0}
    schema = validator(Metrics)
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "n1.org",
        "type": "nm.metrics.v1",
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {"incarnation": "ab", "sequence": 1, "age": 0.0, "values": {name: 1.0}},
    }
    assert schema.is_valid(event)


def test_series_that_are_too_long_together_are_left_out_and_said() -> None:
    values = {f"a[{n:04}{'ä' * 290}]": 1.0 for n in range(1000)}
    found = fitting(values)
    body = encode(Metrics("ab", 1, 0.0, found.values), source="n1.org", id="1", time=0.0)
    assert isinstance(decode(body), Event)
    assert found.values
    assert len(found.values) + len(found.troubles) == len(values)
    assert set(found.troubles.values()) == {
        f"only {MOST_BYTES} bytes of series fit into one message"
    }


def test_two_mount_points_that_must_be_changed_stay_two() -> None:
    labels = [label(mount) for mount in ("/a[1]", "/a(1]", "/a_1_", "/x" * 400, "/x" * 401)]

    assert len(set(labels)) == len(labels)

"""Records: each kind takes what it is for, refuses what it is not, and unknown kinds are open."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nm_bus.contracts import BASE, load
from nm_bus.records import kinds, why_not

SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

GOOD: dict[str, dict[str, Any]] = {
    "endpoint": {"url": "https://n1.llnl.gov/thredds", "service": "thredds", "port": 443},
    "certificate": {
        "subject": "n1.llnl.gov",
        "fingerprint": SHA,
        "ends": "2027-02-01T00:00:00Z",
    },
    "software": {"versions": {"thredds": "5.4", "solr": "9.1.1"}, "system": "Debian 12"},
    "compute": {"cores": 128, "memory": 2**39, "scheduler": "slurm", "queues": ["short", "long"]},
    "dataset": {"dataset": "CMIP6.CMIP.tas", "version": "20261121", "nodes": ["n1.llnl.gov"]},
    "attribute": {"url": "https://idp.llnl.gov", "protocol": "saml", "groups": ["CMIP6 Research"]},
    "provenance": {"entity": "CMIP6.CMIP.tas", "activity": "regridded", "used": ["CMIP5.tas"]},
    "log": {"service": "publisher", "place": "/var/log/publisher", "days": 90},
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "endpoint": ({"url": "n1.llnl.gov"}, "url"),
    "certificate": (GOOD["certificate"] | {"fingerprint": "AB:CD"}, "fingerprint"),
    "software": ({"versions": {"solr": 9}}, "versions.solr"),
    "compute": ({"cores": -1}, "cores"),
    "dataset": ({"dataset": "CMIP6.CMIP.tas"}, "'version' is a required property"),
    "attribute": (GOOD["attribute"] | {"groups": "all"}, "groups"),
    "provenance": (GOOD["provenance"] | {"ended": "yesterday"}, "ended"),
    "log": (GOOD["log"] | {"days": "90"}, "days"),
}


def test_every_kind_has_an_example_of_both_sorts() -> None:
    assert set(GOOD) == set(BAD) == set(kinds())


@pytest.mark.parametrize("kind", kinds())
def test_a_kind_has_a_valid_schema_whose_fields_are_described_and_limited(kind: str) -> None:
    schema = load(f"records/{kind}.json")
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"{BASE}records/{kind}.json"
    assert schema["title"]
    assert set(schema["required"]) <= set(schema["properties"])
    for field in schema["properties"].values():
        assert field["description"]
        bound = {"string": "maxLength", "array": "maxItems", "integer": "maximum"}
        assert bound.get(field["type"], "description") in field


@pytest.mark.parametrize("kind", kinds())
def test_a_record_of_its_kind_is_taken_and_another_is_refused_by_its_field(kind: str) -> None:
    assert why_not(kind, GOOD[kind]) == ""
    value, where = BAD[kind]
    assert why_not(kind, value).startswith(f"is no record of the kind {kind}: {where}")


def test_a_kind_that_nobody_described_takes_any_object() -> None:
    assert why_not("telescope", {"mirrors": 2}) == ""

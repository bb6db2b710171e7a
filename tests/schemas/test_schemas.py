"""The schemas themselves: well formed, complete, described, and in step with the structs."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from nm_bus.contracts import BASE, load, path_of, paths
from nm_bus.messages import (
    Ballot,
    Batch,
    BrokerState,
    Change,
    Check,
    Declared,
    Echo,
    Endpoint,
    LinkState,
    MemberState,
    PipeState,
    Rollup,
    Standing,
    Step,
)
from nm_bus.protocol import MESSAGES

PATHS = paths()

PARTS: dict[type[msgspec.Struct], tuple[str, str]] = {
    Check: ("heartbeat", "check"),
    Declared: ("metrics", "declared"),
    Endpoint: ("properties", "endpoint"),
    PipeState: ("statement", "pipe"),
    MemberState: ("statement", "member"),
    LinkState: ("supernode", "link"),
    BrokerState: ("supernode", "broker"),
    Standing: ("supernode", "ledger"),
    Change: ("ledger", "change"),
    Batch: ("ledger", "batch"),
    Echo: ("ledger", "echo"),
}

STRUCTS = [(kind, load(path_of(kind))) for kind in MESSAGES] + [
    (part, load(f"{folder}/v1.json")["$defs"][name]) for part, (folder, name) in PARTS.items()
]

by_path = pytest.mark.parametrize("path", PATHS)


@by_path
def test_a_schema_is_valid_json_schema_with_its_own_name(path: str) -> None:
    schema = load(path)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == BASE + path
    assert schema["title"]
    assert schema["description"]


def test_every_message_has_a_schema() -> None:
    assert {path_of(kind) for kind in MESSAGES} <= set(PATHS)


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema within a schema, itself included."""
    yield schema
    for key, child in schema.items():
        inner = child.values() if key in ("properties", "$defs") else [child]
        inner = child if isinstance(child, list) else inner
        for each in inner:
            if isinstance(each, dict):
                yield from parts(each)


@by_path
def test_every_field_is_described_and_every_length_limited(path: str) -> None:
    for part in parts(load(path)):
        for name, field in part.get("properties", {}).items():
            assert "$ref" in field or field["description"], name
        if part.get("type") == "string":
            assert "maxLength" in part, part
        if part.get("type") == "array" and "items" in part:
            assert "maxItems" in part, part
        if part.get("type") == "integer":
            assert {"minimum", "maximum"} <= part.keys(), part


@pytest.mark.parametrize(
    ("kind", "schema"), STRUCTS, ids=lambda each: getattr(each, "__name__", "")
)
def test_a_struct_and_its_schema_have_the_same_fields(
    kind: type[msgspec.Struct], schema: dict[str, Any]
) -> None:
    fields = msgspec.structs.fields(kind)
    assert [field.encode_name for field in fields] == list(schema["properties"])
    assert [field.encode_name for field in fields if field.required] == schema["required"]


@pytest.mark.parametrize("kind", Step.__args__, ids=lambda kind: kind.__name__)
def test_a_step_and_its_schema_have_the_same_fields_and_the_same_word(
    kind: type[msgspec.Struct],
) -> None:
    word = kind.__struct_config__.tag
    schema = load("ledger/v1.json")["$defs"][word]
    fields = msgspec.structs.fields(kind)
    assert schema["properties"]["step"]["const"] == word
    assert ["step", *(field.encode_name for field in fields)] == list(schema["properties"])
    assert ["step", *(f.encode_name for f in fields if f.required)] == schema["required"]


def test_a_ledger_knows_all_steps() -> None:
    schema = load("ledger/v1.json")
    known = {f"#/$defs/{kind.__struct_config__.tag}" for kind in Step.__args__}
    assert {choice["$ref"] for choice in schema["properties"]["step"]["anyOf"]} == known


def test_a_ballot_and_its_schema_have_as_many_items() -> None:
    schema = load("ledger/v1.json")["$defs"]["ballot"]
    count = len(msgspec.structs.fields(Ballot))
    assert schema["minItems"] == schema["maxItems"] == len(schema["prefixItems"]) == count


def test_a_rollup_and_its_schema_have_as_many_items() -> None:
    schema = load("rollups/v1.json")["$defs"]["rollup"]
    fields = msgspec.structs.fields(Rollup)
    assert len(schema["prefixItems"]) == len(fields)
    assert schema["minItems"] == sum(field.required for field in fields)

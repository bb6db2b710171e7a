"""The schemas as they are used: loaded from `schemas/`, joined with the envelope, compiled lazily.

A contract is one JSON Schema (2020-12) for a whole CloudEvent of one message type. Nothing here
parses bytes, and the slow, explaining validator is not loaded here (see `nm_bus.explain`).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from nm_bus.messages import Message, message_type

if TYPE_CHECKING:
    import jsonschema_rs

Schema = dict[str, Any]

BASE = "https://nm-bus.example/schemas/"
"""What every `$id` starts with: a name, never fetched."""

ENVELOPE = "cloudevent/v1.json"


def path_of(message: type[Message]) -> str:
    """Where the schema of a message's data is, below `schemas/`: `heartbeat/v1.json`."""
    _, name, version = message_type(message).split(".")
    return f"{name}/{version}.json"


def load(path: str) -> Any:
    """Read one JSON file of `schemas/`, such as `heartbeat/v1.json` or `catalogue.json`."""
    return msgspec.json.decode((files("nm_bus") / "schemas" / path).read_bytes())


def paths() -> list[str]:
    """Where every message's schema is, and what they refer to, below `schemas/`."""
    folders = (files("nm_bus") / "schemas").iterdir()
    return sorted(f"{each.name}/v1.json" for each in folders if (each / "v1.json").is_file())


def retrieve(uri: str) -> Schema:
    """Give the schema of an `$id`, for a validator that follows a reference to another file."""
    schema: Schema = load(uri.removeprefix(BASE))
    return schema


def contract(message: type[Message]) -> Schema:
    """Join the envelope's schema with that of a message's data: one pass checks the whole."""
    envelope: Schema = load(ENVELOPE)
    properties = envelope["properties"] | {
        "type": {"const": message_type(message)},
        "data": {"$ref": BASE + path_of(message)},
    }
    return envelope | {"$id": f"{BASE}events/{message_type(message)}", "properties": properties}


@cache
def validator(message: type[Message]) -> jsonschema_rs.Draft202012Validator:
    """Give the fast validator of a message type, compiled at first use."""
    # Imported here: it takes 7 MB, which a program that only sends does not need to have.
    import jsonschema_rs  # noqa: PLC0415

    return jsonschema_rs.Draft202012Validator(contract(message), retriever=retrieve)

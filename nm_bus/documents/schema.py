"""Holding a document against its JSON Schema (2020-12), and against nothing that lies elsewhere.

jsonschema-rs accepts, since it is quick whatever the schema asks for; what it does not accept is
decided and explained by jsonschema. Both are loaded only when there is a schema: they are large,
and most documents have none. A foreign schema can still take long: see `nm_bus.checking`.
"""

from typing import Any

from nm_bus.boundary import Unreadable, attempt
from nm_bus.documents.media import JSON
from nm_bus.documents.parsing import READABLE, parsed

SHOWN = 300
"""How much of an explanation is shown, since it may quote the schema."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def why_invalid(content: bytes, media_type: str, schema: str) -> str:
    """Why a document is refused by its schema, with the place; empty when it is not."""
    if media_type not in READABLE:
        return f"has a schema, which can be held against JSON and TOML only, not {media_type}"
    said = attempt(lambda: _why_invalid(content, media_type, schema))
    return f"has a schema that {said.reason}" if isinstance(said, Unreadable) else said


def _why_invalid(content: bytes, media_type: str, text: str) -> str:
    try:
        schema = parsed(text.encode(), JSON)
    except ValueError as error:
        return f"the schema {error}"
    if flaw := _wrong_dialect(schema):
        return flaw
    said = parsed(content, media_type)
    if attempt(lambda: _is_plainly_valid(said, schema)) is True:
        return ""
    return _why_no_schema(schema) or _verdict(said, schema)


def _wrong_dialect(schema: Any) -> str:
    if not isinstance(schema, dict | bool):
        return "the schema is no object"
    named = schema.get("$schema", DIALECT) if isinstance(schema, dict) else DIALECT
    if not isinstance(named, str) or named.rstrip("#") != DIALECT:
        return f"the schema is written in {str(named)[:SHOWN]}; write it in {DIALECT}"
    return ""


def _is_plainly_valid(said: Any, schema: Any) -> bool:
    from jsonschema_rs import Draft202012Validator, meta  # noqa: PLC0415

    if not meta.is_valid(schema):
        return False
    return bool(Draft202012Validator(schema, retriever=_nothing_elsewhere).is_valid(said))


def _nothing_elsewhere(uri: str) -> Any:
    raise ValueError(f"{uri} is not in the schema")


def _why_no_schema(schema: Any) -> str:
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"the schema is none: {error.json_path}: {error.message[:SHOWN]}"
    return ""


def _verdict(said: Any, schema: Any) -> str:
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    from nm_bus.explain import checker_of, most_wrong  # noqa: PLC0415

    try:
        wrong = most_wrong(checker_of(_without_dialect(schema)), said)
    except Unresolvable as missing:
        return f"its schema refers to {missing.ref!r}, which is not in it"
    except RecursionError:
        return "its schema refers to itself without an end"
    return f"is refused by its schema: {wrong}" if wrong else ""


def _without_dialect(schema: Any) -> Any:
    """A schema that names its dialect would get another validator, with its own `$`."""
    if not isinstance(schema, dict):
        return schema
    return {name: part for name, part in schema.items() if name != "$schema"}

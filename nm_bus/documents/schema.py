"""Holding a document against its JSON Schema (2020-12), and against nothing that lies elsewhere.

jsonschema is loaded only when there is a schema: it is large, and most documents have none.
"""

from typing import Any

from nm_bus.documents.media import JSON
from nm_bus.documents.parsing import READABLE, parsed

SHOWN = 300
"""How much of an explanation is shown, since it may quote the schema."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def why_no_schema(text: str) -> str:
    """What is wrong with a JSON Schema given as text; empty when nothing is."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415

    try:
        schema = parsed(text.encode(), JSON)
    except ValueError as error:
        return f"the schema {error}"
    if not isinstance(schema, dict | bool):
        return "the schema is no object"
    if isinstance(schema, dict) and schema.get("$schema", DIALECT).rstrip("#") != DIALECT:
        return f"the schema is written in {schema['$schema']}; write it in {DIALECT}"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"the schema is none: {error.json_path}: {error.message[:SHOWN]}"
    return ""


def why_invalid(content: bytes, media_type: str, schema: str) -> str:
    """Why a document is refused by its schema, with the place; empty when it is not."""
    if media_type not in READABLE:
        return f"has a schema, which can be held against JSON and TOML only, not {media_type}"
    return why_no_schema(schema) or _verdict(
        parsed(content, media_type), parsed(schema.encode(), JSON)
    )


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

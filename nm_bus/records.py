"""The kinds of records that components keep in the ledger, and whether a record is one of its kind.

A kind is `schemas/records/<kind>.json`, for readers in any language; of a kind that has no schema a
record may be any object. The validator is slow to load, so it is loaded at the first record.
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from nm_bus.contracts import load

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


@cache
def kinds() -> tuple[str, ...]:
    """The kinds that have a schema."""
    schemas = (files("nm_bus") / "schemas" / "records").iterdir()
    return tuple(sorted(each.name.removesuffix(".json") for each in schemas))


def why_not(kind: str, value: dict[str, Any]) -> str:
    """Say in one sentence what is wrong with a record, with the field; empty when nothing is."""
    if kind not in kinds():
        return ""
    from nm_bus.explain import most_wrong  # noqa: PLC0415

    wrong = most_wrong(_checker(kind), value)
    return f"is no record of the kind {kind}: {wrong}" if wrong else ""


@cache
def _checker(kind: str) -> "Validator":
    from nm_bus.explain import checker_of  # noqa: PLC0415

    schema = load(f"records/{kind}.json")
    return checker_of({name: part for name, part in schema.items() if name != "$schema"})

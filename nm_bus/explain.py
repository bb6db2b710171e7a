"""Why a message is refused, in words: jsonschema's best match with the path of the field.

Slow and large to import, so `nm_bus.codec` loads it only once something was refused. It decides
nothing: the verdict was given by the same schemas, compiled, in `nm_bus.contracts`.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from nm_bus.contracts import BASE, Schema, contract, load, paths
from nm_bus.messages import Message

ERRORS_READ = 100
"""How many errors are weighed at most: a large message that is all wrong must not cost minutes."""

SHOWN = 300
"""How much of an explanation is shown, since it may quote the message."""


def explain(message: type[Message], event: Any) -> str:
    """Say what is most wrong with an event, as `data.sequence: 0 is less than the minimum of 1`.

    Empty when nothing is wrong.
    """
    return most_wrong(checker(message), event)


def most_wrong(validator: Validator, instance: Any) -> str:
    """Say what a validator holds against an instance, and where; empty when nothing is wrong."""
    error = best_match(islice(validator.iter_errors(instance), ERRORS_READ))
    if error is None:
        return ""
    where = ".".join(_printable(str(step)) for step in error.absolute_path)
    text = f"{where}: {error.message}" if where else error.message
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _printable(step: str) -> str:
    return step if step.isprintable() else repr(step)


@cache
def checker(message: type[Message]) -> Validator:
    """Give the explaining validator of a message type."""
    return checker_of(contract(message))


def checker_of(schema: Schema) -> Validator:
    """Give the explaining validator of any schema, which may refer to ours."""
    made: Validator = _Checker(schema, registry=registry())
    return made


def _pattern(
    validator: Validator, pattern: str, instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    # In JSON Schema's regular expressions (ECMA-262) `$` is the very end of the text; in Python's
    # it also stands before a last newline, which would let `esgf-node1.llnl.gov\n` pass.
    if isinstance(instance, str) and not re.search(_to_python(pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


@cache
def _to_python(pattern: str) -> re.Pattern[str]:
    ends = pattern.endswith("$") and not pattern.endswith(r"\$")
    return re.compile(pattern[:-1] + r"\Z" if ends else pattern)


@cache
def registry() -> Registry[Any]:
    """Give all schemas by their `$id`, so that none is read twice."""
    resources = [(BASE + path, _resource(load(path))) for path in paths()]
    return Registry[Any]().with_resources(resources).crawl()


def _resource(schema: Schema) -> Resource[Any]:
    # Without "$schema": it would make jsonschema go on with its own validator, and its own `$`.
    return DRAFT202012.create_resource({k: v for k, v in schema.items() if k != "$schema"})


_Checker = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]

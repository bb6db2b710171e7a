"""Messages made up by hypothesis from the schemas: any that the contract allows, nothing else.

For tests of whoever reads or writes messages. It knows the keywords that our schemas use; one that
it does not know is an error, so that a generated message is never more than what a schema says.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from nm_bus.contracts import BASE, Schema, load, path_of
from nm_bus.explain import registry
from nm_bus.messages import Message

if TYPE_CHECKING:
    from referencing._core import Resolver

MOST = 4
"""How many items or keys a generated array or object has at most: enough to differ."""

JSON_SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)


def messages(kind: type[Message]) -> SearchStrategy[Message]:
    """Any message of a class."""
    return data(path_of(kind)).map(lambda value: msgspec.convert(value, kind))


def data(path: str) -> SearchStrategy[Any]:
    """Any JSON that the schema at `path` allows, as Python's own types."""
    uri = BASE + path
    return _values(load(path), registry().resolver(uri))


def _values(schema: Schema, resolver: "Resolver[Any]") -> SearchStrategy[Any]:
    if "$ref" in schema:
        found = resolver.lookup(schema["$ref"])
        return _values(found.contents, found.resolver)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([_values(choice, resolver) for choice in schema["anyOf"]])
    if "type" not in schema:
        return st.recursive(
            JSON_SCALARS,
            lambda inner: (
                st.lists(inner, max_size=MOST)
                | st.dictionaries(st.text(max_size=8), inner, max_size=MOST)
            ),
            max_leaves=MOST,
        )
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_KINDS[kind](schema, resolver) for kind in kinds])


def _text(schema: Schema, _resolver: "Resolver[Any]") -> SearchStrategy[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 64)
    if "pattern" not in schema:
        return st.text(min_size=least, max_size=min(most, 64))
    pattern = re.compile(schema["pattern"].removesuffix("$") + r"\Z")
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) <= most)


def _integer(schema: Schema, _resolver: "Resolver[Any]") -> SearchStrategy[int]:
    return st.integers(schema["minimum"], schema["maximum"])


def _number(schema: Schema, _resolver: "Resolver[Any]") -> SearchStrategy[float]:
    above = schema.get("exclusiveMinimum")
    return st.floats(
        min_value=schema.get("minimum", above),
        max_value=schema.get("maximum"),
        exclude_min=above is not None,
        allow_nan=False,
        allow_infinity=False,
    )


def _array(schema: Schema, resolver: "Resolver[Any]") -> SearchStrategy[Any]:
    if "prefixItems" in schema:
        first = [_values(item, resolver) for item in schema["prefixItems"]]
        least = schema["minItems"]
        return st.integers(least, len(first)).flatmap(lambda n: st.tuples(*first[:n]).map(list))
    most = min(schema["maxItems"], MOST)
    return st.lists(st.deferred(lambda: _values(schema["items"], resolver)), max_size=most)


def _object(schema: Schema, resolver: "Resolver[Any]") -> SearchStrategy[Any]:
    if "properties" in schema:
        fields = {name: _values(part, resolver) for name, part in schema["properties"].items()}
        required = schema.get("required", [])
        optional = {name: fields.pop(name) for name in list(fields) if name not in required}
        return st.fixed_dictionaries(fields, optional=optional)
    names = _values({"type": "string"} | schema.get("propertyNames", {}), resolver)
    values = _values(schema["additionalProperties"], resolver)
    return st.dictionaries(names, values, max_size=MOST)


_KINDS: dict[str, Callable[[Schema, "Resolver[Any]"], SearchStrategy[Any]]] = {
    "null": lambda _schema, _resolver: st.none(),
    "boolean": lambda _schema, _resolver: st.booleans(),
    "string": _text,
    "integer": _integer,
    "number": _number,
    "array": _array,
    "object": _object,
}

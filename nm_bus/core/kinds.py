"""What a series is: its unit and kind, by the catalogue or by what its node declared."""

from collections.abc import Callable, Mapping
from functools import partial

from nm_bus.catalogue import find, metric_of
from nm_bus.messages import Declared

Kinds = Callable[[str], Declared]
"""What a series is, by its name."""


def kinds(declared: Mapping[str, Declared]) -> Kinds:
    """The lookup for one node; the catalogue cannot be overruled, the unknown is a gauge."""
    return partial(_kind, declared)


def _kind(declared: Mapping[str, Declared], series: str) -> Declared:
    name = metric_of(series)
    return find(series) or declared.get(name) or Declared(name, unit="")

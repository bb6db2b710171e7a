"""The metrics that everybody knows: name, unit, kind, and whether quantiles are kept.

The catalogue itself is data, `schemas/catalogue.json`, for readers in any language. What a node
brings beyond it is declared in its own messages and is not known here.
"""

from functools import cache

import msgspec

from nm_bus.contracts import load
from nm_bus.messages import Declared


class Metric(Declared, frozen=True):
    """A metric of the catalogue, with a sentence on what is measured."""

    description: str = ""


@cache
def catalogue() -> dict[str, Metric]:
    """Give every metric by its name. Read once; not to be changed."""
    metrics = msgspec.convert(load("catalogue.json")["metrics"], list[Metric])
    return {metric.name: metric for metric in metrics}


def metric_of(series: str) -> str:
    """Give the name of a series' metric: `disk.used` for `disk.used[/data]`."""
    return series.partition("[")[0]


def find(series: str) -> Metric | None:
    """Give what the catalogue says of a series, or None when it does not have its metric."""
    return catalogue().get(metric_of(series))

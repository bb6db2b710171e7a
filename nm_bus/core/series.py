"""What is shown of a series: its minutes, the longer windows merged from them, its quantiles.

Derived from a ring when somebody asks; nothing is stored here.
"""

from collections.abc import Iterable
from functools import reduce
from itertools import groupby

from nm_bus.core import rollup
from nm_bus.core.ring import KEPT, MINUTE, Ring
from nm_bus.core.rollup import Growth, Tally
from nm_bus.core.sketch import merged, quantiles
from nm_bus.messages import Rollup, Seconds, Series, Window

SHOWN = 15
"""How many single minutes are shown; the whole hour is in windows of five."""

FIVE = 5

QUANTILES = (0.5, 0.9, 0.99)

Step = tuple[int, Tally, Growth | None]


def shown(ring: Ring, now: Seconds) -> Series:
    """The last hour of a series, the running minute included. A silent stretch has no window."""
    this = int(now // MINUTE)
    steps = _steps(ring, this - KEPT + 1, this)
    return Series(
        unit=ring.declared.unit,
        kind=ring.declared.kind,
        minute=tuple(_window(s[0], [s]) for s in steps if s[0] > this - SHOWN),
        five=tuple(_window(five * FIVE, group) for five, group in _by_five(steps)),
        hour=_window(this - KEPT + 1, steps) if steps else None,
        quantiles=_quantiles(ring, steps),
    )


def told(ring: Ring, minute: int) -> Rollup | None:
    """One minute in the form in which it travels; None when nothing is known of it."""
    tally = ring.tally(minute)
    if tally is None:
        return None
    step = rollup.growth(ring.before(minute), tally) if _counts(ring) else None
    sketch = ring.sketch(minute)
    return rollup.rollup(
        tally, minute * MINUTE, rollup.rate([step]), sketch.told() if sketch else None
    )


def _counts(ring: Ring) -> bool:
    return ring.declared.kind == "counter"


def _steps(ring: Ring, first: int, last: int) -> list[Step]:
    """The minutes, each with a counter's growth since the one before."""
    counts, before, steps = _counts(ring), ring.before(first), []
    for minute, tally in ring.tallies(first, last):
        steps.append((minute, tally, rollup.growth(before, tally) if counts else None))
        before = tally
    return steps


def _by_five(steps: list[Step]) -> Iterable[tuple[int, list[Step]]]:
    return ((five, list(group)) for five, group in groupby(steps, lambda step: step[0] // FIVE))


def _window(minute: int, steps: list[Step]) -> Window:
    tally = reduce(rollup.merge, (tally for _, tally, _ in steps))
    start = minute * MINUTE
    return Window(start, rollup.rollup(tally, start, rollup.rate(growth for *_, growth in steps)))


def _quantiles(ring: Ring, steps: list[Step]) -> dict[str, float]:
    kept = [sketch for minute, *_ in steps if (sketch := ring.sketch(minute)) is not None]
    return quantiles(merged(kept), QUANTILES) if kept else {}

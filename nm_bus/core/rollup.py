"""What is kept of many samples: a tally that merges, and the growth between two tallies.

Merging is commutative and associative (but for the rounding of sums), so it matters neither in
which order samples come nor how they were grouped. No windows here, and no memory of the past.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from nm_bus.messages import Rollup, Seconds


class Tally(NamedTuple):
    """Samples of one series in one stretch of time. `last` is the latest by sample time, `at`."""

    samples: int
    at: Seconds
    total: float
    low: float
    high: float
    last: float


class Growth(NamedTuple):
    """How much a counter grew, and in how many seconds."""

    amount: float
    elapsed: Seconds


def sample(value: float, at: Seconds) -> Tally:
    """The tally of a single sample."""
    return Tally(1, at, value, value, value, value)


def merge(one: Tally, other: Tally) -> Tally:
    """The tally of both tallies' samples. Of two samples at one moment the higher is the last."""
    at, last = max((one.at, one.last), (other.at, other.last))
    return Tally(
        one.samples + other.samples,
        at,
        one.total + other.total,
        min(one.low, other.low),
        max(one.high, other.high),
        last,
    )


def growth(before: Tally | None, after: Tally) -> Growth | None:
    """A counter's growth from the end of one stretch to the end of the next.

    None when nothing came before, or when a sample is below what came before: the counter began
    again (a reboot, an overflow), and how far it had come until then cannot be known.
    """
    if before is None or after.low < before.last or after.at <= before.at:
        return None
    return Growth(after.last - before.last, after.at - before.at)


def rate(steps: Iterable[Growth | None]) -> float | None:
    """Growth per second over all steps that are known; None when none is."""
    known = [step for step in steps if step is not None]
    if not known:
        return None
    return sum(step.amount for step in known) / sum(step.elapsed for step in known)


def rollup(
    tally: Tally, start: Seconds, rate: float | None = None, sketch: dict[str, Any] | None = None
) -> Rollup:
    """A tally in the form in which it travels; its time is told from the window's start."""
    return Rollup(
        count=tally.samples,
        total=tally.total,
        low=tally.low,
        high=tally.high,
        last=tally.last,
        rate=rate,
        sketch=sketch,
        at=round(tally.at - start, 3),
    )

"""Quantiles that can be merged: a DDSketch's bins, kept sparse since a window has few samples.

The library is imported when the first sketch is used: most programs never need one. The range of
values is bounded, and so is the number of bins; merging adds counts and loses nothing.
"""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from ddsketch.mapping import LogarithmicMapping

ACCURACY = 0.01
"""A quantile is at most this share of its value off."""

SMALLEST, LARGEST = 1e-6, 1e18
"""Smaller magnitudes count as zero, larger ones as the largest: from a microsecond to an exabyte
with room on either side, in at most 2,800 bins a sign."""


class Sketch(msgspec.Struct, gc=False):
    """How many samples fell into each bin. Bins are numbered by the logarithm of their value."""

    positive: dict[int, int] = {}
    negative: dict[int, int] = {}
    zero: int = 0

    def add(self, value: float) -> None:
        """Count one sample."""
        if abs(value) < SMALLEST:
            self.zero += 1
            return
        bins = self.positive if value > 0 else self.negative
        key = _mapping().key(min(abs(value), LARGEST))
        bins[key] = bins.get(key, 0) + 1

    def size(self) -> int:
        """The number of bins in use."""
        return len(self.positive) + len(self.negative) + 1

    def told(self) -> dict[str, Any]:
        """The bins as they travel: JSON objects of bin number to count, in order."""
        return {
            "positive": {str(key): self.positive[key] for key in sorted(self.positive)},
            "negative": {str(key): self.negative[key] for key in sorted(self.negative)},
            "zero": self.zero,
        }


def read(told: dict[str, Any] | None) -> Sketch | None:
    """The sketch in a message; None when there is none, or none that this version understands."""
    try:
        sketch = msgspec.convert(told, Sketch | None, strict=False)
    except msgspec.ValidationError:
        return None
    return sketch if sketch is None or _within_bounds(sketch) else None


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """One sketch of all samples."""
    whole = Sketch()
    for sketch in sketches:
        whole.zero += sketch.zero
        for into, bins in ((whole.positive, sketch.positive), (whole.negative, sketch.negative)):
            for key, count in bins.items():
                into[key] = into.get(key, 0) + count
    return whole


def quantiles(sketch: Sketch, asked: Iterable[float]) -> dict[str, float]:
    """Quantiles by name: 0.5 is `p50`. Empty for an empty sketch."""
    from ddsketch import DDSketch  # noqa: PLC0415  on demand: see above

    whole, value_of = DDSketch(ACCURACY), _mapping().value
    for key, count in sketch.positive.items():
        whole.add(value_of(key), count)
    for key, count in sketch.negative.items():
        whole.add(-value_of(key), count)
    if sketch.zero:
        whole.add(0.0, sketch.zero)
    found = {f"p{share * 100:g}": whole.get_quantile_value(share) for share in asked}
    return {name: float(value) for name, value in found.items() if value is not None}


@cache
def _mapping() -> "LogarithmicMapping":
    from ddsketch.mapping import LogarithmicMapping  # noqa: PLC0415  on demand: see above

    return LogarithmicMapping(ACCURACY)


def _within_bounds(sketch: Sketch) -> bool:
    lowest, highest = _mapping().key(SMALLEST), _mapping().key(LARGEST)
    counts = (*sketch.positive.values(), *sketch.negative.values())
    keys = (*sketch.positive, *sketch.negative)
    return (
        sketch.zero >= 0
        and all(count > 0 for count in counts)
        and all(lowest <= key <= highest for key in keys)
    )

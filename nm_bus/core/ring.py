"""One series' last hour, minute by minute, packed: a supernode holds tens of thousands of these.

The minute is the only window that is stored. Longer ones are merged when somebody asks, so a
sample that comes late is right everywhere at once. A minute is numbered from 1970.
"""

import struct
from collections.abc import Iterator

from nm_bus.core.rollup import Tally
from nm_bus.core.sketch import Sketch
from nm_bus.messages import Declared, Seconds

MINUTE: Seconds = 60.0

KEPT = 60
"""How many minutes a series remembers."""

_SLOT = struct.Struct("<IH4d")
"""Count, milliseconds from the minute's start to its last sample, total, low, high, last."""

SIZE = _SLOT.size
_EMPTY = bytes(SIZE)
_unpack, _pack = _SLOT.unpack_from, _SLOT.pack_into


class Ring:
    """The tallies of one series. An empty slot has the count 0."""

    __slots__ = ("declared", "newest", "sketches", "slots")

    def __init__(self, declared: Declared, newest: int) -> None:
        self.declared = declared
        self.newest = newest
        self.slots = bytearray(KEPT * SIZE)
        self.sketches: dict[int, Sketch] | None = {} if declared.quantiles else None

    def declare(self, declared: Declared) -> None:
        """From now on the series is what `declared` says."""
        self.declared = declared
        if not declared.quantiles:
            self.sketches = None
        elif self.sketches is None:
            self.sketches = {}

    def add(self, minute: int, offset: int, value: float) -> None:
        """Count a sample, `offset` milliseconds into a minute that `reach` allowed."""
        slots, at = self.slots, minute % KEPT * SIZE
        count, latest, total, low, high, last = _unpack(slots, at)
        if not count:
            _pack(slots, at, 1, offset, value, value, value, value)
        else:
            if offset > latest or (offset == latest and value > last):
                latest, last = offset, value
            low = value if value < low else low
            high = value if value > high else high
            _pack(slots, at, count + 1, latest, total + value, low, high, last)
        if self.sketches is not None:
            sketch = self.sketches.get(minute)
            if sketch is None:
                sketch = self.sketches[minute] = Sketch()
            sketch.add(value)

    def reach(self, minute: int) -> bool:
        """Make room for a minute, forgetting the oldest. False when it is older than what is kept.

        To be asked before a minute is written.
        """
        if minute <= self.newest:
            return minute > self.newest - KEPT
        for passed in range(max(self.newest + 1, minute - KEPT + 1), minute + 1):
            self.slots[passed % KEPT * SIZE : passed % KEPT * SIZE + SIZE] = _EMPTY
        self.newest = minute
        if self.sketches:
            self.sketches = {m: s for m, s in self.sketches.items() if m > minute - KEPT}
        return True

    def put(self, minute: int, tally: Tally, sketch: Sketch | None) -> None:
        """Take over a whole minute, unless more of it is known already.

        A minute only grows where it is fed, so the fuller one is the newer, however they came.
        """
        known = self.tally(minute)
        if known is None or tally > known:
            offset = round((tally.at - minute * MINUTE) * 1000)
            _pack(self.slots, minute % KEPT * SIZE, tally.samples, offset, *tally[2:])
            if self.sketches is not None:
                self.sketches.pop(minute, None)
            if sketch is not None:
                self.sketches = self.sketches or {}
                self.sketches[minute] = sketch

    def tally(self, minute: int) -> Tally | None:
        """What is known of a minute."""
        if not self.newest - KEPT < minute <= self.newest:
            return None
        count, offset, *values = _unpack(self.slots, minute % KEPT * SIZE)
        return Tally(count, minute * MINUTE + offset / 1000, *values) if count else None

    def tallies(self, first: int, last: int) -> Iterator[tuple[int, Tally]]:
        """The minutes from `first` to `last` of which something is known, oldest first."""
        for minute in range(max(first, self.newest - KEPT + 1), min(last, self.newest) + 1):
            tally = self.tally(minute)
            if tally is not None:
                yield minute, tally

    def before(self, minute: int) -> Tally | None:
        """The latest tally before a minute."""
        earlier = range(minute - 1, self.newest - KEPT, -1)
        return next((tally for m in earlier if (tally := self.tally(m)) is not None), None)

    def kept(self, first: int, last: int) -> tuple[int, bytes]:
        """The minutes from `first` to `last` as bytes, and which of them is the first there is."""
        first = max(first, self.newest - KEPT + 1)
        minutes = range(first, min(last, self.newest) + 1)
        places = (minute % KEPT * SIZE for minute in minutes)
        return first, b"".join(self.slots[at : at + SIZE] for at in places)

    def restore(self, first: int, kept: bytes) -> None:
        """Take up again what `kept` gave, in whatever order the parts come."""
        for minute, at in enumerate(range(0, len(kept), SIZE), first):
            slot = kept[at : at + SIZE]
            if slot != _EMPTY and self.reach(minute):
                self.slots[minute % KEPT * SIZE : minute % KEPT * SIZE + SIZE] = slot

    def sketch(self, minute: int) -> Sketch | None:
        """The minute's quantile sketch, where one is kept."""
        return self.sketches.get(minute) if self.sketches else None

"""Which of a sender's messages were seen, when they may come out of order: spooled ones come late.

A sequence number counts once, whichever way it comes. What was seen is kept as ranges, a few for
each of the last incarnations, so that it stays small however long a sender lives.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

from nm_bus.core.sequence import LARGEST_JUMP, Novelty

LIVES = 8
"""Incarnations that are remembered: a spool outlives the agent that filled it."""

RANGES = 64
"""Ranges for each incarnation; of more, the two oldest become one, and their gap counts as seen."""

Range = list[int]
"""The first and the last number of an unbroken run."""


@dataclass(slots=True)
class Seen:
    """The numbers of one sender that were taken."""

    lives: dict[str, list[Range]] = field(default_factory=dict)

    def accept(self, incarnation: str, number: int) -> Novelty:
        """Take a number, or say that it was taken before, or leaps too far."""
        ranges = self.lives.get(incarnation)
        if ranges is None:
            self.lives[incarnation] = [[number, number]]
            while len(self.lives) > LIVES:
                del self.lives[next(iter(self.lives))]
            return Novelty.RESTARTED
        last = ranges[-1]
        if number == last[1] + 1:
            last[1] = number
            return Novelty.NEXT
        if number > last[1]:
            if number - ranges[-1][1] > LARGEST_JUMP:
                return Novelty.FAR
            ranges.append([number, number])
            _bound(ranges)
            return Novelty.NEXT
        # take a number below the highest one: into a gap, closing it where it touches.
        at = bisect_right(ranges, number, key=lambda each: each[0]) - 1
        if at >= 0 and number <= ranges[at][1]:
            return Novelty.REPEATED
        ranges.insert(at + 1, [number, number])
        if ranges[at + 1][1] + 1 == ranges[at + 2][0]:
            ranges[at + 1][1] = ranges.pop(at + 2)[1]
        if at >= 0 and ranges[at][1] + 1 == number:
            ranges[at][1] = ranges.pop(at + 1)[1]
        _bound(ranges)
        return Novelty.NEXT

    def taken(self, incarnation: str) -> int:
        """How many numbers of an incarnation were taken."""
        return sum(high - low + 1 for low, high in self.lives.get(incarnation, ()))

    def missing(self, incarnation: str) -> int:
        """How many numbers below the highest one have not come, or not yet."""
        ranges = self.lives.get(incarnation)
        return 0 if not ranges else ranges[-1][1] - self.taken(incarnation)


def _bound(ranges: list[Range]) -> None:
    if len(ranges) > RANGES:
        ranges[1][0] = ranges.pop(0)[0]

"""Which message of a sender is new: incarnations and sequence numbers, nothing else.

An incarnation is random and new at each start, so its order is the order of arrival: what one that
was replaced said before is never believed again, and no number that a sender claims can evict its
successors. One that goes on counting after it was replaced is a rival: two speak in one name.
"""

from dataclasses import dataclass, field
from enum import StrEnum

LARGEST_JUMP = 1_000_000
"""How far a sequence may leap: two months of heartbeats at one each five seconds."""

REMEMBERED = 8
"""How many replaced incarnations are remembered as replaced."""


class Novelty(StrEnum):
    """What a (incarnation, sequence) is, after what was seen before."""

    NEXT = "next"
    RESTARTED = "restarted"
    REPEATED = "repeated"
    RIVAL = "rival"
    FAR = "far"


@dataclass(slots=True)
class Sequence:
    """The last accepted position of one sender, and how many messages it missed.

    `replaced` are its earlier incarnations with their last numbers.
    """

    incarnation: str = ""
    number: int = 0
    missed: int = 0
    replaced: dict[str, int] = field(default_factory=dict)

    def accept(self, incarnation: str, number: int) -> Novelty:
        """Move to a new position, or say why not; only NEXT and RESTARTED move."""
        if incarnation != self.incarnation:
            return self._restart(incarnation, number)
        leap = number - self.number
        if leap <= 0:
            return Novelty.REPEATED
        if leap > LARGEST_JUMP:
            return Novelty.FAR
        self.number = number
        self.missed += leap - 1
        return Novelty.NEXT

    def take_back(self, incarnation: str, number: int) -> None:
        """A rival is the only one left: go on with it."""
        self.replaced.pop(incarnation, None)
        self._restart(incarnation, number)

    def _restart(self, incarnation: str, number: int) -> Novelty:
        last = self.replaced.get(incarnation)
        if last is not None:
            self.replaced[incarnation] = max(last, number)
            return Novelty.RIVAL if number > last else Novelty.REPEATED
        if self.incarnation:
            self.replaced[self.incarnation] = self.number
            while len(self.replaced) > REMEMBERED:
                del self.replaced[next(iter(self.replaced))]
        self.incarnation, self.number = incarnation, number
        return Novelty.RESTARTED


def outlived(replaced: tuple[str, ...], incarnation: str) -> tuple[str, ...]:
    """The replaced incarnations and one more; the oldest is forgotten."""
    return (*replaced, incarnation)[-REMEMBERED:]

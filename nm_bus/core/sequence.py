"""Which message of a sender is new: incarnations and sequence numbers, nothing else.

An incarnation is random and new at each start, so its order is the order of arrival: one that was
replaced is never believed again, and no number that a sender claims can evict its successors.
"""

from dataclasses import dataclass
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
    FAR = "far"


@dataclass(slots=True)
class Sequence:
    """The last accepted position of one sender, and how many messages it missed."""

    incarnation: str = ""
    number: int = 0
    missed: int = 0
    replaced: tuple[str, ...] = ()

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

    def _restart(self, incarnation: str, number: int) -> Novelty:
        if incarnation in self.replaced:
            return Novelty.REPEATED
        if self.incarnation:
            self.replaced = outlived(self.replaced, self.incarnation)
        self.incarnation, self.number = incarnation, number
        return Novelty.RESTARTED


def outlived(replaced: tuple[str, ...], incarnation: str) -> tuple[str, ...]:
    """The replaced incarnations and one more; the oldest is forgotten."""
    return (*replaced, incarnation)[-REMEMBERED:]

"""What one decision may hold: the order inside a batch, its size, and clocks that run ahead."""

from collections.abc import Iterable

from nm_bus.core.ledger.chain import canonical
from nm_bus.messages import Change, Micros

MOST_CHANGES = 1_000
MOST_BYTES = 512 * 1024
FAR_AHEAD: Micros = 60_000_000
"""How far before the proposer's own clock a change's timestamp may be."""


def order(change: Change) -> tuple[Micros, str, str]:
    """The order of changes: git's timestamps, the supernode as tiebreaker, then the change."""
    return change.timestamp, change.supernode, change.id


def fill(
    waiting: Iterable[Change], *, count: int = MOST_CHANGES, size: int = MOST_BYTES
) -> tuple[Change, ...]:
    """The first of the waiting changes in their order, as many as fit; one always does."""
    chosen: list[Change] = []
    left = size
    for change in sorted(waiting, key=order):
        left -= len(canonical(change)) + 1
        if chosen and (left < 0 or len(chosen) == count):
            break
        chosen.append(change)
    return tuple(chosen)


def is_far_ahead(change: Change, now: Micros) -> bool:
    """Whether its clock is wild. Judged when a batch is made, never when it is applied."""
    return change.timestamp > now + FAR_AHEAD

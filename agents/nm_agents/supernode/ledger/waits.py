"""Askers that wait for their answer: each for a limited time, and not too many of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from nm_bus.messages import Seconds
from nm_bus.transport.base import Timer, Transport

MOST, MOST_OF_ONE = 2_000, 100
"""How many may wait, in all and of one principal."""


@dataclass(slots=True, eq=False)
class WaitingAnswer:
    """One asker that waits."""

    who: str
    timer: Timer | None = None


@dataclass(slots=True)
class Waits:
    """All that are open. A wait ends once: when it is ended, or when its time is over."""

    transport: Transport
    most: int = MOST
    most_of_one: int = MOST_OF_ONE
    _open: set[WaitingAnswer] = field(default_factory=set)
    _of: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def __contains__(self, wait: object) -> bool:
        """Whether a wait is still open."""
        return wait in self._open

    def begin(
        self, who: str, limit: Seconds, over: Callable[[WaitingAnswer], None]
    ) -> WaitingAnswer | None:
        """Let `who` wait, and call `over` when it was not ended in time; None: there are too many.

        `over` is never called before this returns.
        """
        if len(self._open) >= self.most or self._of[who] >= self.most_of_one:
            return None
        wait = WaitingAnswer(who)
        self._open.add(wait)
        self._of[who] += 1
        wait.timer = self.transport.later(limit, partial(self._over, wait, over))
        return wait

    def end(self, wait: WaitingAnswer) -> bool:
        """End a wait; gives whether it was still open."""
        if wait not in self._open:
            return False
        self._open.remove(wait)
        self._of[wait.who] -= 1
        if not self._of[wait.who]:
            del self._of[wait.who]
        if wait.timer is not None:
            wait.timer.cancel()
        return True

    def _over(self, wait: WaitingAnswer, over: Callable[[WaitingAnswer], None]) -> None:
        if self.end(wait):
            over(wait)

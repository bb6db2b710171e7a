"""Reading after all that was agreed: a change that does nothing, and what was asked before it.

One is under way at a time, for everyone who asked before it was proposed; who asks meanwhile goes
with the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from nm_agents.supernode.ledger.waits import WaitingAnswer
from nm_bus.core.ledger.applying import READ
from nm_bus.messages import Change, Proposed


class TakesProposals(Protocol):
    """What a barrier needs of the ledger."""

    def propose(self, change: Change, done: Callable[[Proposed], None]) -> str:
        """Take a change, on disk when this returns: `accepted`. Or `full`: nothing was taken.

        `done` is told once it is applied here.
        """

    def own_change(
        self,
        kind: str,
        key: str,
        value: dict[str, Any] | None = None,
        expected: int | None = None,
    ) -> Change:
        """A new change in the supernode's own name, signed."""


@dataclass(slots=True)
class Barrier:
    """Calls whoever asked once all is applied here that had been agreed when it asked."""

    driver: TakesProposals
    _next: dict[WaitingAnswer, Callable[[], None]] = field(default_factory=dict)
    _is_under_way: bool = False

    def ask(self, wait: WaitingAnswer, call: Callable[[], None]) -> None:
        """Make the call, later or at once; never, when no majority agrees any more."""
        self._next[wait] = call
        if not self._is_under_way:
            self._propose()

    def forget(self, wait: WaitingAnswer) -> None:
        """It waits no more."""
        self._next.pop(wait, None)

    def _propose(self) -> None:
        calls, self._next = list(self._next.values()), {}
        self._is_under_way = True
        change = self.driver.own_change(READ, READ)
        if self.driver.propose(change, partial(self._done, calls)) == "full":
            self._is_under_way = False

    def _done(self, calls: list[Callable[[], None]], _: Proposed) -> None:
        self._is_under_way = False
        for call in calls:
            call()
        if self._next and not self._is_under_way:
            self._propose()

"""Answers on their way out: principals in turn, and never more than so many bytes at once.

An answer is made when its turn comes. So neither many questions nor an asker who reads nothing
fill this program's memory, and one principal's thousand pages cost another one turn.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from nm_bus.core.turns import Turns
from nm_bus.messages import NodeId
from nm_bus.transport.base import Outcome, Outgoing, Transport

MOST, MOST_OF_ONE = 10_000, 500
"""How many answers may wait for their turn, in all and to one principal."""

UNDER_WAY = 8 * 1024 * 1024
"""How many bytes may be on their way to the broker; one answer more may begin below it."""

Make = Callable[[], Outgoing]


@dataclass(slots=True)
class Replies:
    """The answers of one supernode."""

    transport: Transport
    _turns: Turns[Make] = field(default_factory=lambda: Turns(MOST, MOST_OF_ONE))
    _under_way: int = 0

    def give(self, who: NodeId, make: Make) -> bool:
        """Send what `make` gives, now or in its turn. False when too many wait: nothing is sent."""
        taken = self._turns.push(who, make)
        self._next()
        return taken

    def _next(self) -> None:
        while self._turns and self._under_way < UNDER_WAY:
            _, make = self._turns.pop()
            answer = make()
            size = len(answer.body)
            self._under_way += size
            self.transport.publish(answer, partial(self._ended, size))

    def _ended(self, size: int, _outcome: Outcome) -> None:
        """The broker has it, or it is lost: who still wants it asks again."""
        self._under_way -= size
        self._next()

"""Who is told what was applied: the listeners, and those who asked for a change.

Who is told may propose more, and that may be applied at once: its turn comes after.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from nm_bus.core.ledger.applying import Applied
from nm_bus.messages import ChangeId, Proposed

Done = Callable[[Proposed], None]


@dataclass(slots=True)
class News:
    """`asked` has who waits for which change: the last one that asked."""

    listeners: list[Callable[[list[Applied]], None]] = field(default_factory=list)
    asked: dict[ChangeId, Done] = field(default_factory=dict)
    _waiting: deque[list[Applied]] = field(default_factory=deque)

    def tell(self, applied: list[Applied]) -> None:
        """Tell all of it, in order."""
        self._waiting.append(applied)
        if len(self._waiting) > 1:
            return
        while self._waiting:
            for listener in self.listeners:
                listener(self._waiting[0])
            for each in self._waiting[0]:
                self.answer(each.change.id, each.answer)
            self._waiting.popleft()

    def answer(self, change: ChangeId, answer: Proposed) -> None:
        """Tell who asked for this change."""
        done = self.asked.pop(change, None)
        if done is not None:
            done(answer)

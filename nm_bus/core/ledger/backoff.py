"""How long a slot is left to the others: longer after each refusal, by chance not all alike."""

from collections.abc import Callable
from dataclasses import dataclass

from nm_bus.messages import Seconds

MOST_DOUBLINGS = 4
"""How often the wait after a refusal is doubled, at most."""


@dataclass(slots=True)
class Backoff:
    """The wait before this supernode tries a slot that somebody began. `random` gives 0 to 1."""

    random: Callable[[], float]
    _refusals: int = 0
    _until: Seconds | None = None

    def restart(self) -> None:
        """The slot moved: the wait begins again."""
        self._until = None

    def refused(self) -> None:
        """The own attempt was refused: the next wait may be twice as long."""
        self._until = None
        self._refusals += 1

    def reset(self) -> None:
        """Another slot begins."""
        self._until = None
        self._refusals = 0

    def is_over(self, now: Seconds, delay: Seconds) -> bool:
        """Whether the wait is over; it begins with the first question."""
        if self._until is None:
            wait = 1 + self.random() * 2 ** min(self._refusals, MOST_DOUBLINGS)
            self._until = now + delay * wait
        return now >= self._until

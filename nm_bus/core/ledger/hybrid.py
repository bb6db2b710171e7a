"""The hybrid logical clock: physical time that is after all that was seen.

It goes back only when it was far ahead of a wall clock that was set since.
Kulkarni et al., "Logical Physical Clocks", 2014, with the counter in the microseconds.
"""

from dataclasses import dataclass

from nm_bus.messages import Micros


@dataclass(slots=True)
class HybridClock:
    """One supernode's clock. `last` is the highest moment that was given or seen."""

    last: Micros = 0

    def tick(self, now: Micros, bound: Micros) -> Micros:
        """The moment of a new event, when the wall clock shows `now`.

        A last one that is over `bound` ahead of it is of a wall clock that was wrong until it was
        set: what came after it would be wild to everybody else.
        """
        self.last = now if self.last > now + bound else max(self.last + 1, now)
        return self.last

    def seen(self, moment: Micros, now: Micros, bound: Micros) -> None:
        """Another clock showed this; one that is over `bound` ahead of ours moves nothing."""
        if moment <= now + bound:
            self.last = max(self.last, moment)

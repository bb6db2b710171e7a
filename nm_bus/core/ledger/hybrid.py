"""The hybrid logical clock: physical time that never goes back and is after all that was seen.

Kulkarni et al., "Logical Physical Clocks", 2014, with the counter in the microseconds.
"""

from dataclasses import dataclass

from nm_bus.messages import Micros


@dataclass(slots=True)
class HybridClock:
    """One supernode's clock. `last` is the highest moment that was given or seen."""

    last: Micros = 0

    def tick(self, now: Micros) -> Micros:
        """The moment of a new event, when the wall clock shows `now`."""
        self.last = max(self.last + 1, now)
        return self.last

    def seen(self, moment: Micros, now: Micros, bound: Micros) -> None:
        """Another clock showed this; one that is over `bound` ahead of ours moves nothing."""
        if moment <= now + bound:
            self.last = max(self.last, moment)

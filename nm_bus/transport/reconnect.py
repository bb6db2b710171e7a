"""How long to wait before trying again: exponential, bounded, jittered, reset after success.

The waits are tenacity's; the loop around them is a transport's own, since it must not sleep.
"""

from collections.abc import Callable

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_base, wait_exponential

from nm_bus.messages import Seconds


class Jittered(wait_base):
    """A wait of between half and all of another, so that many who lost one broker spread out."""

    def __init__(self, bound: wait_base, random: Callable[[], float]) -> None:
        self._bound, self._random = bound, random

    def __call__(self, retry_state: RetryCallState) -> float:
        return self._bound(retry_state) * (0.5 + self._random() / 2)


class Pauses:
    """The pauses between attempts: the first at most `first` seconds, doubling up to `most`.

    `random` gives numbers from 0 to 1. A success must be told by `reset`.
    """

    def __init__(self, first: Seconds, most: Seconds, random: Callable[[], float]) -> None:
        self._wait = Jittered(wait_exponential(multiplier=first, max=most), random)
        self._state = RetryCallState(Retrying(), None, (), {})
        self.reset()

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self._state.attempt_number = 0

    def next(self) -> Seconds:
        """Give the pause before the next attempt."""
        self._state.attempt_number += 1
        return self._wait(self._state)

"""Time that passes only when a test lets it: calls are made in the order of their moments."""

import heapq
from collections.abc import Callable
from itertools import count

from nm_bus.messages import Seconds

START: Seconds = 1_800_000_000.0
"""When virtual time begins: a date that nobody mistakes for a real one of today."""


class VirtualTimer:
    """A call that will be made once, unless cancelled before."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Forget the call. Harmless when it was made already."""
        self.call = None


class VirtualClock:
    """A clock of seconds since 1970 that stands still until `advance` or `run`."""

    def __init__(self, start: Seconds = START) -> None:
        self._now = start
        self._order = count()
        self._waiting: list[tuple[Seconds, int, VirtualTimer]] = []

    def now(self) -> Seconds:
        """The time."""
        return self._now

    def later(self, delay: Seconds, call: Callable[[], None]) -> VirtualTimer:
        """Make a call after `delay` seconds; calls of one moment in the order of asking."""
        timer = VirtualTimer(call)
        heapq.heappush(self._waiting, (self._now + delay, next(self._order), timer))
        return timer

    def advance(self, seconds: Seconds) -> None:
        """Let time pass and make all calls that fall due."""
        end = self._now + seconds
        while self._waiting and self._waiting[0][0] <= end:
            self._step()
        self._now = end

    def run(self, until: Callable[[], bool], limit: Seconds = 86_400.0) -> None:
        """Let time pass until this is true. Raises TimeoutError when it is not in time."""
        end = self._now + limit
        while not until():
            if not self._waiting or self._waiting[0][0] > end:
                raise TimeoutError(f"nothing brought it about in {limit} virtual seconds")
            self._step()

    def _step(self) -> None:
        moment, _, timer = heapq.heappop(self._waiting)
        self._now = max(self._now, moment)
        call, timer.call = timer.call, None
        if call is not None:
            call()

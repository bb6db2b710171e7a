"""What processes use while the bench watches: resident memory at its most, share of a core."""

import time
from dataclasses import dataclass, field

import psutil

from nm_bus.messages import Seconds


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """`memory` is the most bytes that were resident, `share` processor time per elapsed time."""

    memory: int
    share: float


@dataclass(slots=True)
class Footprint:
    """One process, from the first look to the last."""

    process: psutil.Process
    _began: Seconds = field(init=False)
    _before: Seconds = field(init=False)
    _memory: int = 0

    def __post_init__(self) -> None:
        self._began, self._before = time.monotonic(), self._spent()

    def look(self) -> None:
        """Look how much memory it uses now."""
        self._memory = max(self._memory, self.process.memory_info().rss)

    def used(self) -> ProcessUsage:
        """What it used since the beginning."""
        self.look()
        elapsed = time.monotonic() - self._began
        return ProcessUsage(self._memory, (self._spent() - self._before) / elapsed)

    def _spent(self) -> Seconds:
        times = self.process.cpu_times()
        return times.user + times.system

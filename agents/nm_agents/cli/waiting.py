"""Looking at something again and again until it is as wanted, for a time with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

from nm_bus.messages import Seconds

PAUSE: Seconds = 1.0
"""Between two looks."""

T = TypeVar("T")


def looked(
    look: Callable[[], T],
    done: Callable[[T], bool],
    wait: Seconds,
    *,
    clock: Callable[[], Seconds] = time.monotonic,
    sleep: Callable[[Seconds], None] = time.sleep,
) -> T:
    """What is seen once it is `done`, or at the end of `wait` seconds; looks once at least."""
    end = clock() + wait
    while True:
        seen = look()
        left = end - clock()
        if done(seen) or left <= 0:
            return seen
        sleep(min(PAUSE, left))

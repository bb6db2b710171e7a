"""The loop of a program: pika's I/O loop with a clock, timers, and a door for other threads.

A failure in a callback ends the loop and is raised by `run`: pika alone would take it for a lost
connection and connect again. Nothing of AMQP is here.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable

from pika.adapters.select_connection import IOLoop

from nm_bus.messages import Seconds

Call = Callable[[], None]


class LoopTimer:
    """A call that will be made once, unless cancelled before."""

    __slots__ = ("_call", "_handle", "_io")

    def __init__(self, io: IOLoop, delay: Seconds, call: Call) -> None:
        self._io, self._call = io, call
        self._handle = io.call_later(max(0.0, delay), self._ring)

    def _ring(self) -> None:
        self._handle = None
        self._call()

    def cancel(self) -> None:
        """Forget the call. Harmless when it was made already."""
        if self._handle is not None:
            self._io.remove_timeout(self._handle)
            self._handle = None


class Loop:
    """One thread's callbacks. `io` is what pika's connections share."""

    def __init__(self) -> None:
        self.io = IOLoop()
        self._failure: Exception | None = None
        self._started = time.time() - time.monotonic()
        self._calls: deque[Call] = deque()
        self._door: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Reentrant, as a signal handler may interrupt its own thread while it holds it.
        self._at_the_door = threading.RLock()
        self.io.add_handler(self._door, self._make_calls, self.io.READ)

    def now(self) -> Seconds:
        """Seconds since 1970 that never jump: the wall clock at start, steady from there on."""
        return self._started + time.monotonic()

    def later(self, delay: Seconds, call: Call) -> LoopTimer:
        """Make a call after `delay` seconds."""
        return LoopTimer(self.io, delay, call)

    def soon(self, call: Call) -> None:
        """Make a call in the loop's next turn, never before the caller returns."""
        self.io.call_later(0, call)

    def call_threadsafe(self, call: Call) -> None:
        """Make a call soon, asked for by another thread or by a signal handler.

        Nothing is done after `close`: a late signal finds nobody to call. pika's own way takes a
        lock that is not reentrant, on which a signal handler would wait for ever.
        """
        with self._at_the_door:
            if self._door is not None:
                self._calls.append(call)
                os.eventfd_write(self._door, 1)

    def _make_calls(self, door: int, _events: int) -> None:
        os.eventfd_read(door)
        for _ in range(len(self._calls)):
            self._calls.popleft()()

    def call(self, call: Call) -> None:
        """Make a program's call; if it fails, the loop ends and `run` raises that failure."""
        try:
            call()
        except Exception as failure:
            self.fail(failure)
            raise

    def fail(self, failure: Exception) -> None:
        """End the loop; `run` raises the first failure it was told of."""
        self._failure = self._failure or failure
        self.io.stop()

    def run(self, limit: Seconds | None = None) -> None:
        """Make calls until `stop`, or for at most `limit` seconds; raises what `fail` was told."""
        timer = self.later(limit, self.stop) if limit is not None else None
        try:
            self.io.start()
        finally:
            failure, self._failure = self._failure, None
        if timer is not None:
            timer.cancel()
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """End `run` after this turn."""
        self.io.stop()

    def close(self) -> None:
        """Give back the loop's own file descriptors. Harmless when done already."""
        with self._at_the_door:
            door, self._door = self._door, None
        if door is not None:
            self.io.remove_handler(door)
            os.close(door)
            self.io.close()

"""Calls that may wait, such as the management API's, made one after the other off the loop."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from nm_bus.errors import NmBusError
from nm_bus.transport.base import Transport

T = TypeVar("T")

MOST_WAITING = 100
"""Calls that may wait for their turn; one more is refused at once."""


def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")


@dataclass(slots=True)
class Worker:
    """One thread for calls that wait; their results come back on the transport's loop."""

    transport: Transport
    waiting: int = 0
    _executor: ThreadPoolExecutor = field(default_factory=_executor)

    def call(self, job: Callable[[], T], done: Callable[[T | NmBusError], None]) -> None:
        """Make a call; `done` is told its result or its error, once, on the loop."""
        if self.waiting >= MOST_WAITING:
            self.transport.later(0.0, partial(done, NmBusError("too much is waiting; try later")))
            return
        self.waiting += 1
        future = self._executor.submit(job)
        future.add_done_callback(
            lambda ended: self.transport.call_threadsafe(partial(self._ended, ended, done))
        )

    def close(self) -> None:
        """Take no more calls, and wait for the one that is being made; each has a time limit."""
        self._executor.shutdown(cancel_futures=True)

    def _ended(self, future: "Future[T]", done: Callable[[T | NmBusError], None]) -> None:
        self.waiting -= 1
        error = future.exception()
        if error is None:
            done(future.result())
        elif isinstance(error, NmBusError):
            done(error)
        else:
            raise error

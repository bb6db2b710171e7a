"""Calls to the broker's management API, which may wait: made by the worker, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nm_agents.supernode.broker.watch import BrokerWatch
from nm_agents.supernode.broker.worker import Worker
from nm_bus.errors import NmBusError

T = TypeVar("T")


def nothing(_: object) -> None:
    """Nothing is done with the result, or about the error: it is tried again in time."""


@dataclass(slots=True)
class BrokerCalls:
    """Makes calls where there is a management API; else none is made, and nobody is told."""

    worker: Worker
    watch: BrokerWatch | None

    def call(
        self,
        job: Callable[[BrokerWatch], T],
        done: Callable[[T], None],
        failed: Callable[[NmBusError], None] = nothing,
    ) -> None:
        """Make a call; one of both is told how it ended, on the loop."""
        if self.watch is not None:
            self.worker.call(partial(job, self.watch), partial(_either, done, failed))


def _either(
    done: Callable[[T], None], failed: Callable[[NmBusError], None], result: T | NmBusError
) -> None:
    if isinstance(result, NmBusError):
        failed(result)
    else:
        done(result)

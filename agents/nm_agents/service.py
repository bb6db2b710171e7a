"""How a service runs: signals, log lines on standard error, its end. Nothing of what it does."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType

from nm_agents.exits import Exit, say
from nm_agents.oneline import one_line
from nm_bus.errors import ConfigError, NmBusError
from nm_bus.transport.base import Status, Transport

_LOG = logging.getLogger(__name__)

PARENT = "NM_BUS_PARENT"
"""Where a program is told whose child it is: who started it may be gone before it can look."""


class OneLine(logging.Formatter):
    """A line an event, with its time. What others sent cannot begin a line or move a cursor."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """The event's line; a traceback comes after it as it is."""
        return one_line(super().formatMessage(record))


def log_to_stderr() -> None:
    """Write the program's events to standard error; what keeps them is the system's business."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def log_status(status: Status, of: str = "broker") -> None:
    """Write a line for a change of the transport's state."""
    _LOG.info("%s: %s%s", of, status.flow, f" ({status.reason})" if status.reason else "")


def on_termination(transport: Transport, stop: Callable[[], None]) -> None:
    """Call `stop` on the loop at the first SIGTERM or SIGINT."""

    def told(_signal: int, _frame: FrameType | None) -> None:
        transport.call_threadsafe(stop)

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)


def as_parent(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child of this process."""
    return {**environment, PARENT: str(os.getpid())}


def started_by() -> int:
    """The process that started this one: it is gone once that is not the parent any more."""
    return int(os.environ.get(PARENT, os.getppid()))


def served(serve: Callable[[], None]) -> Exit:
    """Run a service to its end; gives its exit code, and says one clear sentence when it failed.

    Only what its files say wrongly is to be corrected first. A refusal and a full disk may pass
    while nobody looks, unlike for a person at a command: the service is started again later.
    """
    try:
        serve()
    except NmBusError as error:
        say(error)
        return Exit.CONFIG if isinstance(error, ConfigError) else Exit.LATER
    return Exit.OK

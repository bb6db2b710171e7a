"""When a member tells what it runs: at each connection, soon after news, and now and then."""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from nm_bus.files.atomic import replace_file
from nm_bus.messages import Seconds
from nm_bus.transport.base import Timer, Transport

SOON: Seconds = 1.0
"""Documents and troubles are told within this; what comes meanwhile goes with it."""

LATER: Seconds = 5.0
"""A revision that changed no document here is told within this: nobody waits for it."""

EVERY: Seconds = 600.0


class Reports:
    """Calls `send` when a report is due."""

    def __init__(self, transport: Transport, send: Callable[[], None]) -> None:
        self._transport, self._send = transport, send
        self._timer: Timer | None = None
        self._due: Seconds = 0.0

    def begin(self) -> None:
        """Tell now and then, whatever happens."""
        self._transport.later(EVERY, self.begin)
        self.news(True)

    def news(self, matters: bool) -> None:
        """There is something to tell; it matters when somebody may wait for it."""
        due = self._transport.now() + (SOON if matters else LATER)
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = self._transport.later(due - self._transport.now(), self.now)

    def now(self) -> None:
        """Tell it at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._send()


# --- The agent's state as a small file, for people and for `nm-bus doctor`: whole at any moment.

LOGGER = logging.getLogger(__name__)


class StateFile:
    """Written by renaming a finished file over the old one. A disk that is full stops nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def write(self, state: dict[str, object]) -> None:
        """Replace the file."""
        text = msgspec.json.format(msgspec.json.encode(state), indent=2)
        try:
            # it is written again in a moment: not worth a wait for the disk
            replace_file(self._path, text + b"\n", mode=0o644, durable=False)
        except OSError as error:
            if not self._failed:
                LOGGER.warning("%s: cannot be written: %s", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False

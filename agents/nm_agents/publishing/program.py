"""`nm-bus config publish`: look whenever something changes in the folder, and now and then anyway.

Notices of the system are a hint that saves time, never what correctness rests on: they get lost.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nm_agents.noticing import CHANGES, begin_notices
from nm_agents.publishing.publisher import FolderPublisher
from nm_bus.errors import ConnectionLostError, TimedOutError
from nm_bus.messages import Seconds
from nm_bus.transport.reconnect import Pauses

RESCAN: Seconds = 15.0
"""The folder is looked at so often even when nothing told of a change."""

EVERYTHING: Seconds = 600.0
"""So often the ledger is asked for what did not change here, and refused files are tried again."""

GATHER: Seconds = 0.2
"""How long notices are gathered before a look: one save is many of them."""

EVENTS = CHANGES | {"deleted", "attrib"}
"""What may change what is published: also that a file goes, or may be read from now on."""

FIRST_PAUSE: Seconds = 1.0
LONGEST_PAUSE: Seconds = 60.0


class PublishingLoop:
    """Looks until it is stopped. `warn` tells why a look came to nothing, once for each reason."""

    def __init__(self, publisher: FolderPublisher, warn: Callable[[str], None]) -> None:
        self._publisher, self._warn = publisher, warn
        self._noticed, self._stopped = threading.Event(), threading.Event()
        self._pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        self._trouble = ""
        self._next_everything = time.monotonic()

    def notice(self) -> None:
        """Look soon; may be called from any thread."""
        self._noticed.set()

    def stop(self) -> None:
        """End after the look that is going on; may be called from a signal's handler."""
        self._stopped.set()
        self._noticed.set()

    def once(self) -> None:
        """Look once, when every file rests. Raises when nobody answers."""
        while not self._publisher.rests() and not self._stopped.is_set():
            self._stopped.wait(self._publisher.rest.length / 4)
        self._publisher.look(everything=True)

    def forever(self) -> None:
        """Look until `stop`. That nobody answers is waited out."""
        while not self._stopped.is_set():
            self._noticed.clear()
            wait = self._look()
            self._noticed.wait(wait)
            self._stopped.wait(GATHER)

    def _look(self) -> Seconds:
        """One look; gives how long to wait before the next one."""
        everything = time.monotonic() >= self._next_everything
        try:
            restless = self._publisher.look(everything=everything)
        except (ConnectionLostError, TimedOutError) as error:
            self._complain(str(error))
            return self._pauses.next()
        except OSError as error:
            self._complain(f"{self._publisher.root} cannot be looked at: {error.strerror}")
            return RESCAN
        self._complain("")
        self._pauses.reset()
        if everything:
            self._next_everything = time.monotonic() + EVERYTHING
        if restless:
            return self._publisher.rest.length / 4
        # nobody would look after the connection's heartbeats meanwhile
        self._publisher.ledger.close()
        return RESCAN

    def _complain(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._warn(trouble)
        self._trouble = trouble


@contextmanager
def noticing(
    folder: Path, notice: Callable[[], None], warn: Callable[[str], None]
) -> Iterator[None]:
    """Within, `notice` is called, from another thread, when something changes in a folder."""
    try:
        end = begin_notices(folder, notice, of=EVENTS, beneath=True)
    except OSError as error:
        warn(f"{folder}: no notice of changes ({error.strerror}); looked at each {RESCAN:g} s")
        yield
        return
    try:
        yield
    finally:
        end()

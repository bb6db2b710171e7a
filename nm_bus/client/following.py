"""Reading a queue at each supernode at once, in the thread of the caller.

A supernode that cannot be reached is tried again with bounded pauses, and said so. What was not
acknowledged stays in its queue, so nothing is lost when the caller goes away. A thread runs only
while a connection is being opened, so that one supernode does not hold up the others.
"""

import random
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from uuid import uuid4

from nm_bus.client.carrier import (
    PREFETCH,
    Contact,
    FollowedItem,
    Lines,
    Quiet,
    Received,
    SupernodeLine,
)
from nm_bus.errors import NmBusError, RefusedError
from nm_bus.messages import NodeId, Seconds, Subscribe, Tail
from nm_bus.settings import Peer, Timing
from nm_bus.transport.reconnect import Pauses

QUIET: Seconds = 0.5
"""How long nothing may come before the caller is told so."""

OPENING: Seconds = 0.1
"""How often is looked whether a connection has been opened."""


class Opened:
    """An open connection to one supernode with the queue that it made us."""

    def __init__(self, lines: Lines, peer: Peer, message: Subscribe | Tail, timing: Timing) -> None:
        self._stack = ExitStack()
        try:
            self.line: SupernodeLine = self._stack.enter_context(lines(peer))
            answer = self.line.ask(message, str(uuid4()), timing.connect)
            if not answer.ok:
                raise RefusedError(f"{peer.node}: {answer.error}")
        except NmBusError as error:
            self.close(error)
            raise
        self.queue = str(answer.data["queue"])

    def read(self, came: Callable[[Received], None]) -> None:
        """From now on, `came` is called for each message while one waits."""
        self._stack.enter_context(self.line.reading(self.queue, came, PREFETCH))

    def close(self, error: BaseException | None = None) -> None:
        """Leave. Unless an error ended it, what was acknowledged is then known to the broker."""
        with suppress(NmBusError):
            self._stack.__exit__(type(error) if error else None, error, None)


class QueueReader:
    """Follows one supernode: opens a connection, reads it until it breaks, and opens another."""

    def __init__(
        self, node: NodeId, opener: Callable[[], Opened], pauses: Pauses, inbox: deque[FollowedItem]
    ) -> None:
        self._node, self._opener, self._pauses, self._inbox = node, opener, pauses, inbox
        self.opening: Future[Opened] | None = None
        self._again: Seconds = 0.0
        self._told = ""
        self.opened: Opened | None = None

    def advance(self) -> None:
        """Take what came, or take the next step towards a connection; waits for nothing."""
        try:
            if self.opened is not None:
                self.opened.line.wait(lambda: False, 0.0)
            elif self.opening is None:
                if time.monotonic() >= self._again:
                    self.opening = Future()
                    named = f"connect to {self._node}"
                    work = (self.opening, self._opener)
                    threading.Thread(target=_run, args=work, name=named, daemon=True).start()
            elif self.opening.done():
                opened = self.opening.result()
                self.opening, self.opened = None, opened
                opened.read(self._inbox.append)
                self._pauses.reset()
                self._told = ""
                self._inbox.append(Contact(self._node))
        except NmBusError as error:
            self.close(error)
            self._again = time.monotonic() + self._pauses.next()
            if str(error) != self._told:
                self._told = str(error)
                self._inbox.append(Contact(self._node, self._told))

    def close(self, error: NmBusError | None = None) -> None:
        """Leave the supernode, or what an error has left of the connection to it."""
        if self.opened is not None:
            self.opened.close(error)
        if self.opening is not None:
            self.opening.add_done_callback(_close)
        self.opened = self.opening = None


def _run(future: "Future[Opened]", opener: Callable[[], Opened]) -> None:
    try:
        future.set_result(opener())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
        future.set_exception(error)


def _close(future: "Future[Opened]") -> None:
    if future.exception() is None:
        future.result().close()


class QueueFollowing(Iterator[FollowedItem]):
    """Gives what the queues at all supernodes bring, for ever, and Quiet when that is nothing.

    One thread at a time may use it. Close it, or use it by `with`. Who asks for nothing for a
    minute may lose the connections; what was not acknowledged then comes again.
    """

    def __init__(
        self, peers: Iterable[Peer], lines: Lines, message: Subscribe | Tail, timing: Timing
    ) -> None:
        self._inbox: deque[FollowedItem] = deque()
        self._readers = [self._reader(peer, lines, message, timing) for peer in peers]

    def _reader(
        self, peer: Peer, lines: Lines, message: Subscribe | Tail, timing: Timing
    ) -> QueueReader:
        pauses = Pauses(timing.retry_first, timing.retry_most, random.random)
        return QueueReader(
            peer.node, lambda: Opened(lines, peer, message, timing), pauses, self._inbox
        )

    def __iter__(self) -> "QueueFollowing":
        return self

    def __next__(self) -> FollowedItem:
        return self.step(QUIET) or Quiet()

    def __enter__(self) -> "QueueFollowing":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the supernodes, for good. Nothing that is not acknowledged is lost."""
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()

    def step(self, wait: Seconds) -> FollowedItem | None:
        """The next item if one comes within `wait` seconds."""
        end = time.monotonic() + wait
        while not self._inbox:
            for reader in self._readers:
                reader.advance()
            left = end - time.monotonic()
            if self._inbox or left <= 0:
                break
            soon = any(reader.opening for reader in self._readers)
            # not by `select`, which takes no file of a number from 1,024 on.
            seconds = min(left, OPENING) if soon else left
            waiting = select.poll()
            for number in self.sockets():
                if number >= 0:
                    waiting.register(number, select.POLLIN)
            waiting.poll(seconds * 1_000)
        return self._inbox.popleft() if self._inbox else None

    def sockets(self) -> list[int]:
        """What becomes readable when there may be something."""
        return [r.opened.line.fileno() for r in self._readers if r.opened is not None]

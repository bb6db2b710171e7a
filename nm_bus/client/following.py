"""Reading a queue at each supernode at once: a thread per supernode, one iterator for the caller.

A supernode that cannot be reached is tried again with bounded pauses, and said so. What was not
acknowledged stays in its queue, so nothing is lost when the caller goes away.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import kombu

from nm_bus.client.route import Route
from nm_bus.errors import NmBusError, RefusedError
from nm_bus.messages import NodeId, Seconds, Subscribe, Tail
from nm_bus.transport.reconnect import Pauses

PREFETCH = 100
QUIET: Seconds = 0.5
"""How long nothing may come before the caller is told so."""
GOODBYE: Seconds = 5.0


@dataclass(frozen=True, slots=True)
class Received:
    """A message from one supernode's queue. Until `ack` it stays there."""

    supernode: NodeId
    exchange: str
    key: str
    body: bytes
    user_id: str | None
    ack: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Heard:
    """A supernode is followed from now on, or is not for the time being: then with the reason."""

    supernode: NodeId
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing came for a moment: the caller may look at its clock."""


Followed = Received | Heard | Quiet
Opener = Callable[[], AbstractContextManager[Route]]


class Follower(threading.Thread):
    """Follows one supernode until `end`; puts what it hears into `inbox`, which is bounded."""

    def __init__(
        self,
        supernode: NodeId,
        opener: Opener,
        message: Subscribe | Tail,
        *,
        pauses: Pauses,
        timeout: Seconds,
        inbox: "queue.Queue[Received | Heard]",
    ) -> None:
        super().__init__(name=f"follow {supernode}", daemon=True)
        self._supernode, self._opener, self._message = supernode, opener, message
        self._pauses, self._timeout, self._inbox = pauses, timeout, inbox
        self._ended = threading.Event()
        self._acks: deque[kombu.Message] = deque()
        self._told = ""

    def end(self) -> None:
        """Stop after what was acknowledged has been told to the broker."""
        self._ended.set()

    def run(self) -> None:
        """Follow, and again after each loss."""
        while not self._ended.is_set():
            try:
                self._follow()
            except NmBusError as error:
                self._tell_once(str(error))
                self._ended.wait(self._pauses.next())

    def _tell_once(self, reason: str) -> None:
        if reason != self._told:
            self._put(Heard(self._supernode, reason))
        self._told = reason

    def _follow(self) -> None:
        self._acks.clear()
        with self._opener() as route:
            answer = route.ask(self._message, str(uuid4()), self._timeout)
            if not answer.ok:
                raise RefusedError(f"{self._supernode}: {answer.error}")
            with route.reading(str(answer.data["queue"]), self._came, PREFETCH):
                self._pauses.reset()
                self._told = ""
                self._put(Heard(self._supernode))
                while not self._ended.is_set():
                    route.wait(self._due, QUIET)
                    self._acknowledge()

    def _due(self) -> bool:
        return bool(self._acks) or self._ended.is_set()

    def _came(self, message: kombu.Message) -> None:
        info = message.delivery_info
        self._put(
            Received(
                self._supernode,
                info["exchange"],
                info["routing_key"],
                bytes(message.body),
                message.properties.get("user_id"),
                partial(self._acks.append, message),
            )
        )

    def _acknowledge(self) -> None:
        while self._acks:
            message = self._acks.popleft()
            if message.channel is not None and message.channel.is_open:
                message.ack()

    def _put(self, item: Received | Heard) -> None:
        """Wait for room, for as long as someone may still make it."""
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._inbox.put(item, timeout=QUIET)
                return


def follow(
    followers: list[Follower], inbox: "queue.Queue[Received | Heard]"
) -> Generator[Followed, None, None]:
    """Give what all of them hear, and Quiet when that is nothing; ends them when it is closed."""
    for follower in followers:
        follower.start()
    try:
        while True:
            try:
                yield inbox.get(timeout=QUIET)
            except queue.Empty:
                yield Quiet()
    finally:
        for follower in followers:
            follower.end()
        for follower in followers:
            follower.join(GOODBYE)

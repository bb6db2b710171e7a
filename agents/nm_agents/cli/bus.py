"""What the commands need of the bus, and what a supernode's answer means for the one who asked.

The real one is `nm_bus.client.connection.Bus`; tests bring their own. No socket is touched here.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from nm_bus.client.asking import good
from nm_bus.client.following import Followed
from nm_bus.messages import Answer, Message, NodeId, Seconds, Subscribe, Tail
from nm_bus.settings import AdministratorSettings


class Bus(Protocol):
    """A way to the project's supernodes."""

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId | None = None
    ) -> Answer:
        """Ask the first supernode that answers, or the one that is named.

        Raises TimedOutError or ConnectionLostError when none does, RefusedError when the broker
        does not let us.
        """

    def follow(self, message: Subscribe | Tail) -> Iterator[Followed]:
        """Ask each supernode for a queue and read them all, those too that come back later.

        Never ends by itself; yields at least each half second.
        """


Opener = Callable[[AdministratorSettings], AbstractContextManager[Bus]]


def ask(
    bus: Bus, message: Message, timeout: Seconds, supernode: NodeId | None = None
) -> dict[str, Any]:
    """The data of a good answer; a bad one becomes the error that says who can do what."""
    return good(bus.request(message, timeout, supernode), supernode or "the supernode").data

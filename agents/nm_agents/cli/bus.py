"""What the commands need of the bus, and what a supernode's answer means for the one who asked.

The real one is `nm_bus.client.connection.Bus`; tests bring their own. No socket is touched here.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from nm_bus.client.following import Followed
from nm_bus.errors import ConnectionLostError, RefusedError
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

Struct = TypeVar("Struct", bound=msgspec.Struct)


def ask(
    bus: Bus, message: Message, timeout: Seconds, supernode: NodeId | None = None
) -> dict[str, Any]:
    """The data of a good answer; a bad one becomes the error that says who can do what."""
    answer = bus.request(message, timeout, supernode)
    if answer.ok:
        return answer.data
    if answer.code == "unavailable":
        raise ConnectionLostError(answer.error or "the supernode cannot answer now; try again")
    raise RefusedError(answer.error or f"the supernode refused: {answer.code}")


def understood(data: object, kind: type[Struct]) -> Struct:
    """An answer's data as a struct; raises RefusedError when versions do not fit."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise RefusedError(
            f"the supernode's answer is not understood ({error}); update nm-bus here or there"
        ) from None

"""What a client needs of whatever carries its words to the supernodes and back.

`nm_bus.client.connection.Bus` goes over the brokers; `nm_bus.testing.supernodes` answers from
memory. What is received on the way is here too. No library of a carrier is imported here.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from nm_bus.messages import Answer, Change, Message, NodeId, Seconds
from nm_bus.settings import AdministratorSettings, Peer

PREFETCH = 100
"""So many messages of a queue may be on their way to one reader."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message from one supernode's queue. Until `ack` it stays there; once its connection is
    lost, `ack` does nothing, and the message comes again."""

    supernode: NodeId
    exchange: str
    key: str
    body: bytes
    user_id: str | None
    ack: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Contact:
    """A supernode is followed from now on, or is not for the time being: then with the reason."""

    supernode: NodeId
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing came for a moment: the caller may look at its clock."""


FollowedItem = Received | Contact | Quiet


class SupernodeLine(Protocol):
    """A connection to one supernode. One thread at a time may use it."""

    @property
    def supernode(self) -> NodeId:
        """Whose it is."""

    def fileno(self) -> int:
        """The socket that becomes readable when there is something to take."""

    def ask(self, message: Message, request: str, timeout: Seconds, /) -> Answer:
        """Ask, and take what else comes meanwhile. `request` is the question's id."""

    def wait(self, done: Callable[[], bool], timeout: Seconds, /) -> None:
        """Take what comes until `done` or the time is over; 0: only what is here already."""

    def reading(
        self, queue: str, came: Callable[[Received], None], prefetch: int, /
    ) -> AbstractContextManager[None]:
        """Within, `came` is called for each message of a queue while one waits or asks."""


Lines = Callable[[Peer], AbstractContextManager[SupernodeLine]]
"""Opens a connection to a supernode."""


class Carrier(Protocol):
    """A principal's way to its project's supernodes. One thread may use it."""

    @property
    def user(self) -> NodeId:
        """Who the certificate says we are."""

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId, request: str = ""
    ) -> Answer:
        """Ask one supernode, once. `request` is the question's id: the same when asked again."""

    def line(self, peer: Peer) -> AbstractContextManager[SupernodeLine]:
        """A connection of one's own to a supernode; may be opened in another thread."""

    def signed(self, change: Change) -> tuple[Change, str]:
        """The change, signed, and the certificate (PEM) whose key did."""

    def close(self) -> None:
        """Leave the supernode that was asked last."""


Connect = Callable[[AdministratorSettings], Carrier]
"""Makes a carrier for who the settings say."""

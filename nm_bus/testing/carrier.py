"""How a client reaches fake supernodes: its questions, and connections by which it follows.

No time passes but that of the caller; sockets only wake those who wait.
"""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from nm_bus.client.carrier import PREFETCH, Connect, Received
from nm_bus.errors import ConnectionLostError
from nm_bus.messages import Answer, Change, Message, NodeId, Seconds
from nm_bus.settings import Peer
from nm_bus.testing.supernodes import FakeQueue, FakeSupernode, FakeSupernodes


def connect(supernodes: FakeSupernodes, user: NodeId) -> Connect:
    """What a `Client` of this principal connects with."""
    return lambda _settings: FakeCarrier(supernodes, user)


@dataclass
class FakeCarrier:
    """One principal's way to them (see `nm_bus.client.carrier.Carrier`). Nothing is signed."""

    supernodes: FakeSupernodes
    user: NodeId

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId, request: str = ""
    ) -> Answer:
        """Ask one supernode."""
        assert timeout > 0
        return self.supernodes.asked(self.user, self.supernodes.by_node[supernode], message)

    @contextmanager
    def line(self, peer: Peer) -> "Iterator[FakeLine]":
        """A connection to one supernode."""
        one = self.supernodes.by_node[peer.node]
        if one.dead:
            raise ConnectionLostError(f"{one.node} refuses connections")
        line = FakeLine(self, one)
        one.woken.append(line.wake)
        try:
            yield line
        finally:
            one.woken.remove(line.wake)
            line.close()

    def signed(self, change: Change) -> tuple[Change, str]:
        """The change as it is."""
        return change, ""

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class FakeLine:
    """A connection. What is published waits in a queue until it is acknowledged."""

    carrier: FakeCarrier
    one: FakeSupernode
    came: Callable[[Received], None] | None = None
    queue: FakeQueue | None = None
    _unacknowledged: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _ends: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)

    @property
    def supernode(self) -> NodeId:
        """Whose it is."""
        return self.one.node

    def fileno(self) -> int:
        """A socket that becomes readable when something was published or the supernode died."""
        return self._ends[0].fileno()

    def wake(self) -> None:
        """Let those wait no longer who wait for the socket."""
        self._ends[1].send(b".")

    def close(self) -> None:
        """Nothing is delivered any more."""
        for end in self._ends:
            end.close()

    def ask(self, message: Message, _request: str, _timeout: Seconds) -> Answer:
        """Ask this supernode."""
        return self.carrier.supernodes.asked(self.carrier.user, self.one, message)

    def wait(self, done: Callable[[], bool], timeout: Seconds) -> None:
        """Deliver what is there, or comes in time."""
        if not self._take() and not done() and timeout:
            select.select([self], (), (), timeout)
            self._take()

    def _take(self) -> bool:
        if self.one.dead:
            raise ConnectionLostError(f"the connection to {self.supernode} broke")
        if select.select([self], (), (), 0)[0]:
            self._ends[0].recv(PREFETCH)
        taken = False
        while self.queue and self.queue.waiting and self.came is not None:
            taken = True
            self.came(self._received(self.queue, *self.queue.waiting.popleft()))
        return taken

    def _received(self, queue: FakeQueue, key: str, body: bytes) -> Received:
        number = next(self._numbers)
        self._unacknowledged[number] = key, body
        return Received(
            self.supernode,
            queue.exchange,
            key,
            body,
            self.supernode,
            partial(self._acknowledge, number),
        )

    def _acknowledge(self, number: int) -> None:
        self._unacknowledged.pop(number, None)

    @contextmanager
    def reading(
        self, queue: str, came: Callable[[Received], None], _prefetch: int
    ) -> Iterator[None]:
        """Within, messages are delivered while somebody waits. What was not acknowledged stays."""
        self.came, self.queue = came, self.one.queues[queue]
        try:
            yield
        finally:
            self.queue.waiting.extendleft(reversed(self._unacknowledged.values()))
            self._unacknowledged.clear()
            self.came = self.queue = None
            if queue.startswith("tail."):
                del self.one.queues[queue]

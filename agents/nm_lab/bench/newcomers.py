"""Simulated members that say hello for the first time, each until it is welcomed.

They share a few connections, by the user that may speak for them; answers come to the reply
address of the connection. Each waits, and says hello again, as a member's program does.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

from msgspec.structs import replace

from nm_agents.connecting import connect
from nm_agents.member.inbox import ANSWER_WITHIN
from nm_bus.codec import Rejected, encode, read
from nm_bus.identity.role import MEMBER
from nm_bus.messages import Answer, Hello, NodeId
from nm_bus.settings import SupernodeSettings, Tls, timing
from nm_bus.topology import request_exchange, request_key
from nm_bus.transport.base import Delivery, Outgoing, Transport
from nm_bus.transport.reconnect import Pauses
from nm_lab.bench.connections import running
from nm_lab.bench.ground import USER

CONNECTIONS = 4


@dataclass(slots=True)
class Newcomers:
    """The members of one connection. Their figures are read from other threads."""

    transport: Transport
    hello: Hello
    nodes: list[NodeId]
    first: float
    most: float
    hellos: int = 0
    """How often hello was said: more than there are members, where answers did not come."""
    welcomed: int = 0
    """For how many the inbox is made."""

    def begin(self) -> None:
        """All say hello at once."""
        for node in self.nodes:
            self._say(node, Pauses(self.first, self.most, random.random))

    def _say(self, node: NodeId, pauses: Pauses) -> None:
        self.hellos += 1
        body = encode(self.hello, source=node, id=uuid4().hex, time=self.transport.now())
        key = request_key(self.hello)
        message = Outgoing(request_exchange(MEMBER), key, body, user_id=node)
        answered = partial(self._answered, node, pauses)
        self.transport.request(message, answered, timeout=ANSWER_WITHIN)

    def _answered(self, node: NodeId, pauses: Pauses, delivery: Delivery | None) -> None:
        if is_welcome(delivery):
            self.welcomed += 1
        else:
            self.transport.later(pauses.next(), partial(self._say, node, pauses))


def is_welcome(delivery: Delivery | None) -> bool:
    """Whether a hello was answered, and not by a refusal."""
    event = read(delivery.body, Answer) if delivery is not None else None
    return event is not None and not isinstance(event, Rejected) and event.data.ok


@dataclass(slots=True)
class NewcomerCrowd:
    """All of them, on their connections."""

    parts: list[Newcomers] = field(default_factory=list)

    def begin(self) -> None:
        """All say hello, as fast as they can be heard."""
        for part in self.parts:
            part.transport.call_threadsafe(part.begin)

    @property
    def hellos(self) -> int:
        """How many hellos were said so far."""
        return sum(part.hellos for part in self.parts)

    @property
    def welcomed(self) -> int:
        """How many members have their inbox."""
        return sum(part.welcomed for part in self.parts)


@contextmanager
def newcomers(
    supernode: SupernodeSettings, tls: Tls, nodes: list[NodeId], feeds: tuple[str, ...]
) -> Iterator[NewcomerCrowd]:
    """Within, members that live by these feeds are connected to a supernode's broker, and silent
    until they begin. `tls` is of the bench's user."""
    own, times = replace(supernode, node=USER, tls=tls), timing(supernode)
    hello = Hello("nm-bus bench", feeds)
    crowd = NewcomerCrowd()
    with ExitStack() as stack:
        for n in range(CONNECTIONS):
            transport = connect(own, f"newcomers {n}", own.broker, separate=False)
            part = Newcomers(
                transport, hello, nodes[n::CONNECTIONS], times.retry_first, times.retry_most
            )
            stack.enter_context(running(transport))
            crowd.parts.append(part)
        yield crowd

"""How a program speaks: here alone a message is encoded, given its id and published."""

from dataclasses import dataclass

from nm_bus.codec import encode
from nm_bus.messages import Message, NodeId, Seconds
from nm_bus.transport.base import Outgoing, Published, Transport


@dataclass(slots=True)
class Sender:
    """The voice of one life of a program, in the name of `source`.

    `life` makes its ids its own: no other program, and no earlier life, gives the same. It may be
    left out where each message is given its id.
    """

    transport: Transport
    source: NodeId
    life: str = ""
    _count: int = 0

    def publish(
        self,
        exchange: str,
        key: str,
        message: Message,
        done: Published | None = None,
        *,
        id: str = "",
        persistent: bool = False,
        expiration: Seconds | None = None,
    ) -> None:
        """Publish a message; `done` is told the outcome once. `id` is one by which receivers drop
        what they have; without it the message gets the next id of this life."""
        body = self.encoded(message, id)
        outgoing = Outgoing(exchange, key, body, persistent=persistent, expiration=expiration)
        self.transport.publish(outgoing, done)

    def encoded(self, message: Message, id: str = "") -> bytes:
        """The message as it travels, for a publication of another form."""
        self._count += 1
        name = id or f"{self.life}.{self._count}"
        return encode(message, source=self.source, id=name, time=self.transport.now())

"""How a supernode speaks to the others about the ledger: which exchange, which key, how long."""

from dataclasses import dataclass

from nm_bus.codec import encode
from nm_bus.messages import Ledger, Log, NodeId, Seconds, Snap, Step
from nm_bus.storage.ledger import Identity
from nm_bus.topology import OUT, LinkKind, out_exchange
from nm_bus.transport.base import Outgoing, Transport

STALE: Seconds = 60.0
"""A step that has waited this long for its link was said again long ago."""


@dataclass(slots=True)
class Post:
    """One life's voice. What is lost on the way is said again by the agreement."""

    transport: Transport
    identity: Identity
    peers: frozenset[NodeId]
    _said: int = 0

    def tell(self, node: NodeId, step: Step) -> None:
        """Say it to one peer. Who is none, by this supernode's settings, cannot be reached."""
        if node in self.peers:
            self._say(out_exchange(node), step)

    def tell_all(self, step: Step) -> None:
        """Say it to every peer."""
        self._say(OUT, step)

    def _say(self, exchange: str, step: Step) -> None:
        self._said += 1
        me, now = self.identity, self.transport.now()
        message = Ledger(me.node, me.incarnation, me.epoch, me.boot, me.nonce, step, me.beginning)
        kind = LinkKind.BULK if isinstance(step, Log | Snap) else LinkKind.CONTROL
        body = encode(message, source=me.node, id=f"{me.nonce}.{self._said}", time=now)
        self.transport.publish(Outgoing(exchange, f"{kind}.ledger", body, expiration=STALE))

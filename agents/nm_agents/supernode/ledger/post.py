"""How a supernode speaks to the others about the ledger: which exchange, which key, how long."""

from dataclasses import dataclass, field

from nm_agents.host.sender import Sender
from nm_bus.messages import Earlier, Ledger, Log, Mark, NodeId, Offer, Seconds, Snap, Step
from nm_bus.storage.ledger import LedgerIdentity
from nm_bus.topology import OUT, LinkKind, out_exchange
from nm_bus.transport.base import Transport

_LARGE = Log | Offer | Snap | Earlier

STALE: Seconds = 60.0
"""A step that has waited this long for its link was said again long ago."""


@dataclass(slots=True)
class Post:
    """One life's voice. What is lost on the way is said again by the agreement."""

    transport: Transport
    identity: LedgerIdentity
    peers: frozenset[NodeId]
    mark: Mark
    """How far the ledger is on disk, which every word says."""
    _sender: Sender = field(init=False)

    def __post_init__(self) -> None:
        self._sender = Sender(self.transport, self.identity.node, self.identity.nonce)

    def tell(self, node: NodeId, step: Step) -> None:
        """Say it to one peer. Who is none, by this supernode's settings, cannot be reached."""
        if node in self.peers:
            self._say(out_exchange(node), step)

    def tell_all(self, step: Step) -> None:
        """Say it to every peer."""
        self._say(OUT, step)

    def _say(self, exchange: str, step: Step) -> None:
        me = self.identity
        message = Ledger(
            me.node, me.incarnation, me.epoch, me.boot, me.nonce, step, me.beginning, self.mark
        )
        kind = LinkKind.BULK if isinstance(step, _LARGE) else LinkKind.CONTROL
        self._sender.publish(exchange, f"{kind}.ledger", message, expiration=STALE)

"""The peers whose messages do not count in the ledger here, and why."""

import logging
from dataclasses import dataclass, field

from nm_bus.core.ledger.epochs import is_ahead
from nm_bus.core.ledger.genesis import is_same_beginning, other_beginning
from nm_bus.messages import Ledger, Micros, NodeId

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Ignored:
    """Kept until they speak otherwise; the log has each change of it once."""

    peers: dict[NodeId, str] = field(default_factory=dict)

    def counts(self, message: Ledger, *, beginning: str, epoch: int, now: Micros) -> bool:
        """Whether a peer's message may have any effect here. It must not when its ledger began
        with another project file, or its epoch with a date that has not come."""
        peer, why = message.origin, _why(message, beginning, epoch, now)
        if why and why != self.peers.get(peer):
            _LOG.error("the ledger ignores the messages of %s: %s", peer, why)
        elif not why and peer in self.peers:
            _LOG.info("the ledger accepts the messages of %s again", peer)
        self.peers.pop(peer, None)
        if why:
            self.peers[peer] = why
        return not why


def _why(message: Ledger, beginning: str, epoch: int, now: Micros) -> str:
    if not is_same_beginning(beginning, message.beginning):
        return other_beginning(beginning, message.beginning)
    if message.epoch != epoch and is_ahead(message.epoch, now):
        return f"its epoch {message.epoch} is a date that has not come; set both clocks"
    return ""

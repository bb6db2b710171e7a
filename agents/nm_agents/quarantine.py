"""Where refused messages go: the exchange `dead`, confirmed before the original is acknowledged."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from nm_bus.codec import Rejected, encode, quarantine
from nm_bus.messages import NodeId, Seconds
from nm_bus.topology import DEAD, refused_key
from nm_bus.transport.base import Delivery, Outcome, Outgoing, Transport

Kept = Callable[[bool], None]
"""Called once with whether the broker has the record; only then is the original done with."""

PAUSE: Seconds = 1.0
"""How long a message that could not be put aside waits before it is read again."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Quarantine:
    """Publishes records of refused messages in the name of `origin`, and counts them."""

    transport: Transport
    origin: NodeId
    count: int = 0

    def put(self, delivery: Delivery, rejected: Rejected, kept: Kept) -> None:
        """Put a delivery aside, and tell whether that succeeded: when not, after a pause."""
        who = delivery.user_id or ""
        record = quarantine(
            delivery.body,
            reason=rejected.reason,
            detail=rejected.detail,
            who=who,
            exchange=delivery.exchange,
            key=delivery.key,
        )
        now = self.transport.now()
        body = encode(record, source=self.origin, id=record.sha256[:32], time=now)
        message = Outgoing(DEAD, refused_key(rejected.reason, who), body, persistent=True)
        self.transport.publish(message, lambda outcome: self._done(outcome, kept))

    def _done(self, outcome: Outcome, kept: Kept) -> None:
        if outcome is Outcome.CONFIRMED:
            self.count += 1
            kept(True)
        else:
            _LOG.warning("quarantine did not take a message (%s); it is read again", outcome)
            self.transport.later(PAUSE, lambda: kept(False))


def settle(transport: Transport, delivery: Delivery, kept: bool) -> None:
    """Acknowledge a delivery that is safe elsewhere; one that is not goes back to its queue."""
    if kept:
        transport.ack(delivery)
    else:
        transport.reject(delivery, requeue=True)

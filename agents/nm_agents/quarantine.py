"""Where refused messages go: the exchange `dead`, confirmed before the original is acknowledged."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from nm_agents.host.sender import Sender
from nm_bus.codec import Rejected, quarantine
from nm_bus.messages import NodeId, Quarantined, Seconds
from nm_bus.topology import DEAD, refused_key
from nm_bus.transport.base import Delivery, Outcome, Transport

Kept = Callable[[bool], None]
"""Called once with whether the broker has the record; only then is the original done with."""

PAUSE: Seconds = 1.0
"""How long a message that could not be put aside waits before it is read again."""

TRIES = 5
"""How often that is tried with one message; then it is dropped, and the log has what is known."""

REMEMBERED = 1_000
"""How many messages that could not be put aside are remembered with their tries."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Quarantine:
    """Publishes records of refused messages in the name of `origin`, and counts them."""

    transport: Transport
    origin: NodeId
    count: int = 0
    dropped: int = 0
    """How many could not be put aside at all."""
    _tries: OrderedDict[str, int] = field(default_factory=OrderedDict)

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
        Sender(self.transport, self.origin).publish(
            DEAD,
            refused_key(rejected.reason, who),
            record,
            lambda outcome: self._done(outcome, record, kept),
            id=record.sha256[:32],
            persistent=True,
        )

    def _done(self, outcome: Outcome, record: Quarantined, kept: Kept) -> None:
        if outcome is Outcome.CONFIRMED:
            self._tries.pop(record.sha256, None)
            self.count += 1
            kept(True)
        elif self._is_hopeless(record.sha256):
            self.dropped += 1
            what = "quarantine did not take a message of %s %d times (%s): it is dropped: %s %s"
            _LOG.error(what, record.who, TRIES, outcome, record.reason, record.sha256)
            kept(True)
        else:
            _LOG.warning("a refused message could not be stored (%s): it is read again", outcome)
            self.transport.later(PAUSE, lambda: kept(False))

    def _is_hopeless(self, digest: str) -> bool:
        """Count a failure; a message must not come back for ever."""
        tries = self._tries.pop(digest, 0) + 1
        if tries >= TRIES:
            return True
        self._tries[digest] = tries
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        return False

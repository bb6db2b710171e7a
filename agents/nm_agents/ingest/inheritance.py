"""Whose an inherited member is: found out from the broker, which spreads the keys.

When the number of processes changes, each takes up all members. It sends a canary under each of
their keys; those that come back to it are its own. When a canary of each of its queues has come
back that was sent after them, who is still inherited belongs to another process.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from nm_agents.host.sender import Sender
from nm_bus.core.ingest import Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.messages import Canary, DomainKey, NodeId, Seconds
from nm_bus.topology import HEARTBEAT
from nm_bus.transport.base import Outcome

AT_ONCE = 200
"""How many canaries wait for their confirm at once."""


@dataclass(slots=True)
class Inheritance:
    """The inherited members of one process, until it is known whose they are."""

    sender: Sender
    ingest: Ingest
    pipes: Sequence[Pipe]
    _unasked: set[DomainKey] = field(init=False)
    _waiting: int = 0
    _asked: Seconds | None = None

    def __post_init__(self) -> None:
        self._unasked = set(self.ingest.inherited)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be found out, now or any more."""
        return not self.ingest.inherited

    def tick(self, now: Seconds) -> list[NodeId]:
        """Go on asking; names those who belong to other processes when that is known."""
        if self._waiting:
            return []
        if any(pipe.doubt(now) for pipe in self.pipes):
            self._unasked, self._asked = set(self.ingest.inherited), None
        elif self._unasked:
            for key in list(islice(self._unasked, AT_ONCE)):
                self._waiting += 1
                canary = Canary(HEARTBEAT, self.ingest.incarnation, 1, now)
                self.sender.publish(HEARTBEAT, key, canary, partial(self._sent, key))
        elif self._asked is None:
            self._asked = now
        elif all(pipe.frontier and pipe.frontier > self._asked for pipe in self.pipes):
            return self.ingest.disown()
        return []

    def _sent(self, key: DomainKey, outcome: Outcome) -> None:
        self._waiting -= 1
        if outcome is Outcome.CONFIRMED:
            self._unasked.discard(key)

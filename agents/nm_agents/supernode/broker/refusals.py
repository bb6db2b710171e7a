"""Messages that were refused at this supernode: counted, described, and a condition."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from nm_agents.quarantine import Quarantine
from nm_agents.supernode.part import Part
from nm_bus.core.alerts.conditions import Condition, quarantine_growing
from nm_bus.core.view import View
from nm_bus.messages import Seconds, Supernode


@dataclass(slots=True)
class RefusalsPart(Part):
    """Those of this process by its quarantine, those of its ingest processes by their word."""

    view: View
    quarantine: Quarantine
    _count: int = 0
    _last: Seconds | None = None

    def start(self) -> None:
        """What was refused in an earlier life is no news."""
        self._count = self.view.refused(self.view.origin)

    def conditions(self, now: Seconds) -> Iterator[Condition]:
        """Messages are being refused."""
        own = self.quarantine.count + self.quarantine.dropped
        count = self.view.refused(self.view.origin) + own
        if count > self._count:
            self._last = now
        self._count = count
        yield quarantine_growing(self.view.origin, self._last, now)

    def describe(self, state: Supernode, now: Seconds) -> Supernode:
        """How many refused messages are nowhere."""
        dropped = self.quarantine.dropped + self.view.dropped(self.view.origin)
        broker = msgspec.structs.replace(state.broker, dropped=dropped)
        return msgspec.structs.replace(state, broker=broker)

"""The ingest processes, started once the broker serves and its old queues are gone."""

import logging
from dataclasses import dataclass

from nm_agents.supernode.broker.calls import BrokerCalls
from nm_agents.supernode.broker.watch import BrokerWatch
from nm_agents.supernode.ingest.children import Children
from nm_agents.supernode.part import Part
from nm_bus.errors import NmBusError
from nm_bus.messages import Seconds
from nm_bus.transport.base import Flow, Status, Transport

_LOG = logging.getLogger(__name__)

WATCH: Seconds = 0.5
"""How often the processes are looked after."""

AGAIN: Seconds = 2.0
"""When deleting old queues is tried again."""


@dataclass(slots=True)
class IngestPart(Part):
    """Deletes queues that nobody will read, before any process finds out what is its own; then
    keeps the processes running."""

    transport: Transport
    calls: BrokerCalls
    children: Children
    is_served: bool = False
    """Whether the broker has served us and its queues are in order."""

    def start(self) -> None:
        """Look after the processes from now on."""
        if self.is_served:
            self.children.watch(self.transport.now())
        self.transport.later(WATCH, self.start)

    def connection(self, status: Status) -> None:
        """The broker serves."""
        if status.flow is Flow.UP:
            self.retire()

    def close(self) -> None:
        """End the processes, and wait for them."""
        self.children.stop()

    def retire(self) -> None:
        """Delete the queues of processes that are no more, unless that is done."""
        if self.calls.watch is None:
            self.is_served = True
        elif not self.is_served:
            self.calls.call(BrokerWatch.retire, self._retired, self._not_retired)

    def _retired(self, _: None) -> None:
        self.is_served = True

    def _not_retired(self, error: NmBusError) -> None:
        _LOG.warning("ingest cannot start yet: old queues were not deleted: %s", error)
        self.transport.later(AGAIN, self.retire)

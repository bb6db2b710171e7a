"""The supernode's own broker, looked at every few seconds and described to the others."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from nm_agents.supernode.broker.calls import BrokerCalls
from nm_agents.supernode.broker.watch import BrokerWatch, Look
from nm_agents.supernode.part import Part
from nm_bus.core.alerts.conditions import Condition, broker_trouble
from nm_bus.errors import NmBusError
from nm_bus.messages import BrokerState, NodeId, Seconds, Supernode
from nm_bus.transport.base import Flow, Status, Transport

_LOG = logging.getLogger(__name__)

LOOK: Seconds = 2.0
"""How often the broker is looked at over its management API."""


@dataclass(slots=True)
class BrokerPart(Part):
    """`on_look` is called with what each look saw, `on_first` once after the first try."""

    node: NodeId
    transport: Transport
    calls: BrokerCalls
    on_look: list[Callable[[Look], None]] = field(default_factory=list)
    on_first: Callable[[], None] = lambda: None
    _state: BrokerState = field(default_factory=lambda: BrokerState("starting"))
    _is_looking: bool = False
    _is_first: bool = True

    def start(self) -> None:
        """Look, now and then."""
        if self.calls.watch is None:
            self._tried()
        self._look()

    def connection(self, status: Status) -> None:
        """The broker serves, or not."""
        state = "up" if status.flow is Flow.UP else str(status.flow)
        self._state = msgspec.structs.replace(self._state, state=state, reason=status.reason)

    def conditions(self, now: Seconds) -> Iterator[Condition]:
        """The broker is blocked, or gone."""
        yield broker_trouble(self.node, self._state)

    def describe(self, state: Supernode, now: Seconds) -> Supernode:
        """How the broker is."""
        broker = msgspec.structs.replace(self._state, dropped=state.broker.dropped)
        return msgspec.structs.replace(state, broker=broker)

    def _look(self) -> None:
        if not self._is_looking:
            self._is_looking = self.calls.watch is not None
            self.calls.call(BrokerWatch.look, self._looked, self._not_seen)
        self.transport.later(LOOK, self._look)

    def _looked(self, look: Look) -> None:
        self._is_looking = False
        if self.transport.status.flow is Flow.UP:
            # the API tells of an alarm for seconds after its end; our own connection knows better
            self._state = msgspec.structs.replace(look.broker, state="up", reason="")
        for looked in self.on_look:
            looked(look)
        self._tried()

    def _not_seen(self, error: NmBusError) -> None:
        self._is_looking = False
        _LOG.debug("the broker cannot be looked at: %s", error)
        self._tried()

    def _tried(self) -> None:
        if self._is_first:
            self._is_first = False
            self.on_first()

"""What a supernode says of itself to the others, gathered from its parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from nm_agents.host.sender import Sender
from nm_agents.supernode.part import Part
from nm_bus import __version__
from nm_bus.core.view import View
from nm_bus.messages import BrokerState, Seconds, Supernode
from nm_bus.settings import SupernodeSettings, timing
from nm_bus.topology import OUT, LinkKind
from nm_bus.transport.base import Transport


@dataclass(slots=True)
class StatementPart(Part):
    """Speaks every few seconds; each part adds what it knows."""

    settings: SupernodeSettings
    transport: Transport
    sender: Sender
    view: View
    parts: Sequence[Part]
    _started: Seconds = 0.0
    _sequence: int = 0

    def start(self) -> None:
        """Speak, now and then."""
        self._started = self.transport.now()
        self._speak()

    def _speak(self) -> None:
        now = self.transport.now()
        self._sequence += 1
        state = Supernode(
            origin=self.sender.source,
            incarnation=self.sender.life,
            sequence=self._sequence,
            started=self._started,
            sent=now,
            agent=f"nm-bus/{__version__}",
            broker=BrokerState("starting"),
            partitions=self.settings.limits.partitions,
        )
        for part in self.parts:
            state = part.describe(state, now)
        self.view.described(state, now)
        self.sender.publish(OUT, f"{LinkKind.CONTROL}.supernode", state)
        self.transport.later(timing(self.settings).statement, self._speak)
